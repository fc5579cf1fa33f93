"""
SDSS frames: from three images to classes
=========================================

One field of SDSS in g, r and i: run 94, camcol 1, field 12 on Stripe 82. The
frames are in nanomaggies, each with its own WCS; they are offset by a few pixels.
"""

# %%
# The frames are not part of astrodlkit: this page ran where the environment
# variable ``ASTRODLKIT_DATA`` names a folder that holds them. Any three frames from
# the SDSS archive will do.

import os
import warnings
from pathlib import Path

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS, FITSFixedWarning
from photutils.background import Background2D
from photutils.segmentation import SourceCatalog, deblend_sources, detect_sources

warnings.simplefilter("ignore", FITSFixedWarning)  # the headers are of 1998
folder = Path(os.environ["ASTRODLKIT_DATA"], "sky", "sdss_stripe82_94_1_12")
frames = {band: folder / f"frame-{band}-000094-1-0012.fits.bz2" for band in "gri"}

# %%
# Detect in r, with photutils.

data, header = fits.getdata(frames["r"], header=True)
background = Background2D(data, 128)
data = data - background.background
segments = detect_sources(data, 2 * background.background_rms, 12)
segments = deblend_sources(data, segments, 12, progress_bar=False)
catalog = SourceCatalog(data, segments, wcs=WCS(header))
sources = QTable(catalog.to_table(columns=["label", "sky_centroid"]))
print(f"{len(sources)} sources")

# %%
# The field's SDSS catalogue tells galaxies from stars, and how wide they are: its
# Petrosian-90 radius sets the width of the stamps.

sdss = QTable.read(folder / "photoObj-000094-1-0012.fits")
galaxies = (sdss["OBJC_TYPE"] == 3) & (sdss["NCHILD"] == 0)
bright = 22.5 - 2.5 * np.log10(np.maximum(sdss["CMODELFLUX"][:, 2], 1e-3)) < 19
sdss = sdss[galaxies & bright]
where = SkyCoord(sdss["RA"], sdss["DEC"], unit="deg")
nearest, distance, _ = where.match_to_catalog_sky(sources["sky_centroid"])
found = distance < 2 * u.arcsec
sample = sources[nearest[found]]
sample["petroR90"] = sdss["PETROTH90"][found, 2] * u.arcsec
print(f"{found.sum()} of the {len(sdss)} galaxies brighter than r = 19 were detected")

# %%
# Three files with three WCSs go in as they are. Their bands have the names that the
# model asks for, and their headers say that they are in nanomaggies, which its stretch
# is made for.

from astrodlkit import classify_cutouts  # noqa: E402

result = classify_cutouts(sample, frames, views=8)
result["label", "petroR90", "class", "class_probability", "flags"].pprint_all()

# %%
# The pictures, by class:

from astrodlkit.classify import plot_gallery  # noqa: E402

plot_gallery(result, frames, figure=plt.figure(), n_rows=3)
plt.show()
