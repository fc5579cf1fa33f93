"""
A survey of its own, from density to classes
============================================

A map of the matter density, galaxies placed in it, an image with PSF and noise, and then what one
does with a real image: detect, classify, and, for once, compare with the truth.
"""

# %%
# Thirty slabs of the universe at redshift 1, one behind another, of which the field sees the
# middle: 25 pixels of the maps. Galaxies as bright as these are much nearer; distant slabs have
# more structure in a small field.

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.cosmology import Planck18
from astropy.nddata import CCDData, VarianceUncertainty
from astropy.table import QTable
from astropy.visualization import simple_norm
from astropy.wcs import WCS
from photutils.segmentation import SourceCatalog, deblend_sources, detect_sources
from scipy.ndimage import map_coordinates

from astrodlkit import (
    classify_cutouts,
    describe_model,
    emulate_density_maps,
    insert_cutouts,
    simulate_galaxies,
)

SIDE, SCALE, BANDS = 1500, 0.396, ("g", "r", "i")
pixel = describe_model("cosmicweb-100mpc").maps.pixel * u.Mpc
maps = emulate_density_maps(30, box_size=64 * pixel, shape=(64, 64), redshift=1, rng=1)
field = (SIDE * SCALE * u.arcsec).to_value(u.rad) * Planck18.comoving_distance(1) / pixel

# %%
# Galaxies follow the matter: their number in a place is Poisson, with the density as its mean.
# Magnitudes and sizes are those of a bright sample, so that there is something to classify.

rng = np.random.default_rng(2)
places = 32 + (np.indices((SIDE // 10, SIDE // 10)) / (SIDE // 10) - 0.5) * float(field)
density = map_coordinates(maps.data.mean(axis=0), places, order=1)
n = rng.poisson(250)
cells = rng.choice(density.size, n, p=density.ravel() / density.sum())
y, x = (np.array(np.unravel_index(cells, density.shape)) + rng.random((2, n))) * 10 - 0.5

wcs = WCS(naxis=2)
wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150.0, 2.2]
wcs.wcs.crpix, wcs.wcs.cdelt = [SIDE / 2, SIDE / 2], [-SCALE / 3600, SCALE / 3600]
wcs.array_shape = (SIDE, SIDE)

galaxies = QTable({"position": wcs.pixel_to_world(x, y)})
galaxies["mag"] = 19.5 + np.log10(rng.random(n)) / 0.6
galaxies["half_light_radius"] = (
    np.exp(rng.normal(np.log(3.0), 0.35, n)) * 10 ** (-0.1 * (galaxies["mag"] - 17)) * u.arcsec
)
kinds = np.array(["completely_round", "in_between", "cigar_shaped", "edge_on", "spiral"])
galaxies["class"] = rng.choice(kinds, n, p=[0.28, 0.3, 0.04, 0.13, 0.25])

# %%
# Drawn on the pixels of the image, put into it with stars, and the noise of the sky.

psf, gain, rms = 1.3 * u.arcsec, 4.7 * u.electron / u.nmgy, 0.025 * u.nmgy
cutouts = simulate_galaxies(galaxies, bands=BANDS, psf=psf, wcs=wcs, shape=128, unit=u.nmgy, rng=3)
images = {}
for band in BANDS:
    sky = rng.normal(0, rms.value, (SIDE, SIDE)).astype(np.float32)
    empty = CCDData(
        sky, unit=u.nmgy, wcs=wcs, uncertainty=VarianceUncertainty(np.full_like(sky, rms.value**2))
    )
    images[band], truth = insert_cutouts(
        empty, cutouts, band=band, gain=gain * 200, n_stars=60, star_flux=[1, 300] * u.nmgy,
        psf=psf, rng=4,
    )  # fmt: skip
print(f"{n} galaxies and {(truth['kind'] == 'star').sum()} stars")

figure, axes = plt.subplots(1, 2, figsize=(10, 5))
axes[0].imshow(np.log10(density), origin="lower", cmap="inferno")
axes[0].set_title("log10 (1 + delta)")
image = images["r"]
axes[1].imshow(image.data, origin="lower", cmap="gray",
               norm=simple_norm(image.data, "asinh", vmin=-0.1, vmax=2))  # fmt: skip
axes[1].set_title("r band")
figure.tight_layout()

# %%
# From here on it is an image like any other: detected with photutils.

segments = detect_sources(image.data, 2 * rms.value, 10)
segments = deblend_sources(image.data, segments, 10, progress_bar=False)
catalog = SourceCatalog(image.data, segments, wcs=wcs)
found = QTable(catalog.to_table(columns=["label", "sky_centroid", "segment_flux", "kron_flux"]))

# %%
# Which galaxies were found, and with which flux. A galaxy and a detection belong together if each
# is the other's nearest.

where, seen_at = SkyCoord(galaxies["position"]), found["sky_centroid"]
nearest, distance, _ = where.match_to_catalog_sky(seen_at)
back, _, _ = seen_at.match_to_catalog_sky(where)
matched = (distance < 1.5 * u.arcsec) & (back[nearest] == np.arange(n))
wanted = 10 ** (-0.4 * (galaxies["mag"][matched] - 22.5))
error = -2.5 * np.log10(found["kron_flux"][nearest[matched]] / wanted)
spread = 1.4826 * np.median(np.abs(error - np.median(error)))
print(f"Kron - true magnitude: {np.median(error):+.3f}, scatter {spread:.3f} (N = {matched.sum()})")

edges = np.arange(15, 20, 0.5)
every, _ = np.histogram(galaxies["mag"], edges)
seen, _ = np.histogram(galaxies["mag"][matched], edges)
some = every > 0
part = seen[some] / every[some]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
axes[0].errorbar(
    (edges[:-1] + 0.25)[some], part, np.sqrt(part * (1 - part) / every[some]), fmt="o", capsize=2
)
axes[0].set(xlabel="true r", ylabel="found", ylim=(0, 1.05))
axes[1].plot(galaxies["mag"][matched], error, ".", alpha=0.6)
axes[1].axhline(0, color="gray", lw=1)
axes[1].set(xlabel="true r", ylabel="Kron - true magnitude", ylim=(-0.6, 0.6))
figure.tight_layout()

# %%
# And classified: what was asked for, against what the network sees. The size of its stamps is that
# of the measured galaxies.

sample = found[nearest[matched]]
sample["petroR90"] = catalog.flux_radius(0.9)[nearest[matched]].value * SCALE * u.arcsec
result = classify_cutouts(sample, images)
asked, seen = np.asarray(galaxies["class"][matched]), np.asarray(result["class"])
table = np.array([[((asked == a) & (seen == b)).sum() for b in kinds] for a in kinds])
print(f"as asked for: {(asked == seen).mean():.0%} of {matched.sum()}")

figure, axes = plt.subplots(figsize=(5.5, 4.5))
axes.imshow(table / np.maximum(table.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
for i, row in enumerate(table):
    for j, count in enumerate(row):
        axes.text(j, i, count, ha="center", va="center")
names = [kind.replace("_", " ") for kind in kinds]
axes.set_xticks(range(5), names, rotation=30, ha="right")
axes.set_yticks(range(5), names)
axes.set(xlabel="seen", ylabel="asked for")
figure.tight_layout()
