"""
From a hundred rows to a cluster
================================

One call, four times: in memory, into a folder that survives whatever stops it, on pieces of a
catalogue, and on a cluster of machines. What changes is where the rows are and who computes; the
answers are the same.
"""

# %%
# A hundred sources
# -----------------
#
# An image in three bands with a hundred galaxies, as FITS files in a folder; a table of where they
# are and how large; and an index of the images. Here they are three, of a survey they are many
# thousands; nothing below would be another.

import tempfile
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS
from matplotlib import pyplot as plt

from astrodlkit import classify_cutouts, simulate_galaxies
from astrodlkit.cutouts import index_images

folder = Path(tempfile.mkdtemp())
N, SCALE = 100, 0.396
wcs = WCS(naxis=2)
wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150.0, 2.2]
wcs.wcs.crpix, wcs.wcs.cdelt = [350.5, 350.5], [-SCALE / 3600, SCALE / 3600]

rng = np.random.default_rng(1)
column, row = np.divmod(np.arange(N), 10)
sources = QTable({"id": np.arange(N), "mag": rng.uniform(16.5, 18, N)})
sky = wcs.pixel_to_world(35 + 70 * column, 35 + 70 * row)
sources["ra"], sources["dec"] = sky.ra, sky.dec
sources["half_light_radius"] = rng.uniform(2, 4, N) * u.arcsec

stamps = simulate_galaxies(
    sources, psf=1.3 * u.arcsec, pixel_scale=SCALE * u.arcsec, shape=70, bands=("g", "r", "i"),
    unit="nmgy", rng=1,
)  # fmt: skip
for k, band in enumerate(stamps.bands):
    # Stamps side by side, ten columns of ten.
    image = stamps.data[:, k].reshape(10, 10, 70, 70).transpose(1, 2, 0, 3).reshape(700, 700)
    header = wcs.to_header()
    header["FILTER"], header["BUNIT"] = band, "nmgy"
    fits.writeto(folder / f"{band}.fits", image + rng.normal(0, 0.02, image.shape), header)
index_images(folder).write(folder / "tiles.parquet")

plt.figure(figsize=(5, 5))
plt.imshow(np.arcsinh(image / 0.1), origin="lower", cmap="gray")
plt.gca().set_axis_off()

# %%
# In memory
# ---------

result = classify_cutouts(sources, folder / "tiles.parquet")
print(result["id", "class", "class_probability"][:5])

# %%
# Into a folder
# -------------
#
# With ``output`` results are written as they come, as Parquet files, and the table may be a file
# that is larger than the memory. When the run is stopped (by a power cut, a full disk, ``kill``),
# the same call goes on after the last part that is whole. Here it has nothing left to do.

sources.write(folder / "sources.parquet")
for attempt in ("first", "second"):
    parts = classify_cutouts(
        folder / "sources.parquet", folder / "tiles.parquet", output=folder / "results",
        part_size=40,
    )  # fmt: skip
    print(attempt, parts)
same = parts.read()["class"] == result["class"]
print(same.sum(), "of", N, "classes are the same")

# %%
# In pieces
# ---------
#
# A Dask data frame is a catalogue in pieces, read from Parquet files, made from pandas, or made by
# LSDB. The call is the same, from ``astrodlkit.scale``. Units are said in it, as data frames have
# none. It comes back at once, and has computed nothing.

import dask.dataframe as dd  # noqa: E402

from astrodlkit import scale  # noqa: E402

pieces = dd.from_pandas(sources.to_pandas(), npartitions=4)
units = {"half_light_radius": "arcsec"}
lazy = scale.classify_cutouts(pieces, folder / "tiles.parquet", units=units)
print(lazy.npartitions, "pieces;", ", ".join(lazy.columns[:8]), "...")

# %%
# On a cluster
# ------------
#
# What is lazy is computed by whatever Dask has a client for. Here that are two processes of this
# machine. At a computing centre ``LocalCluster`` becomes ``SLURMCluster``, or the address of a
# cluster in Kubernetes (:doc:`../user_guide/scaling` has the files for both); nothing else changes.
#
# Processes start by importing the script that starts them, so what is only to be done once stands
# behind ``if __name__ == "__main__"``.

from dask.distributed import Client, LocalCluster  # noqa: E402

if __name__ == "__main__":
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        computed = lazy.compute()
    table = scale.to_table(computed, units=units)
    print(table["id", "class", "class_probability"][:5])
    print(np.sum(table["class"] == result["class"]), "of", N, "classes are the same")
    difference = np.abs(table["class_probability"] - result["class_probability"]).max()
    print(f"probabilities differ by at most {difference:.0e}")

# %%
# What is guaranteed, and what is not
# -----------------------------------
#
# **Order.** Row i of the result is row i of the table; in pieces, row i of each piece, with its
# index.
#
# **Exactly once.** Every row is in the result once. A part or a piece is there whole or not at all.
# The pieces of a worker that dies are computed again by another.
#
# **Reproducibility.** A row's answer depends on its pixels, the model and the settings, and on no
# other row. Into a folder, the same call gives the same bytes, however often it was stopped. On a
# cluster, numbers agree with those of one process to a few units of the last place of float32.
# Another model, input or setting into the same folder is an error; so is a worker that finds
# another model by the name.
#
# **Not guaranteed** are the same last digits on processors of another kind, or with another
# ``batch_size`` or number of threads; anything about images that are changed during a run; and, on
# a cluster, that a run whose scheduler ends goes on: ``lazy.to_parquet()`` begins anew.
# `astrodlkit.scale.simulate_galaxies` does go on, as its pieces are files that it finds again.
