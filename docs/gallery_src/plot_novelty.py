"""
What the model has never seen
=============================

A classifier gives every stamp a class, whatever is on it. Its ``novelty`` tells how far
a stamp lies from the galaxies that it was trained on: 0.99 means farther out than 99 %
of the galaxies that it was validated on.
"""

# %%
# Galaxies and eight things that can go wrong with them. ``cut`` gives stamps, as
# pictures in red, green and blue, from positions and widths.

import matplotlib.pyplot as plt
import numpy as np

from astrodlkit import classify_cutouts, extract_cutouts, load_model

model = load_model("galaxyzoo2")
v, u = np.mgrid[:96, :96] - 47.5
trail = 200 * np.exp(-0.5 * ((u - 0.6 * v - 8) / 2.5) ** 2)
spikes = sum(np.exp(-0.5 * (a / 3) ** 2) / (1 + (b / 12) ** 2) for a, b in ((u, v), (v, u)))


def with_defects(cut, galaxies, widths, stars, empty):
    pictures = cut(galaxies, widths)
    return {
        "as it is": pictures,
        "bands reversed": pictures[:, ::-1],
        "3x too narrow": cut(galaxies, widths / 3),
        "3x too wide": cut(galaxies, widths * 3),
        "half masked": np.where(u > 3, 0, pictures),
        "trail": pictures + trail,
        "spikes": pictures + 250 * spikes,
        "star": stars,
        "blank sky": empty,
    }


def show(defects):
    """On each stamp its novelty, and the class that it gets nevertheless."""
    n = len(defects["as it is"])
    figure, axes = plt.subplots(len(defects), n, figsize=(1.2 * n, 1.25 * len(defects)))
    for line, (name, pictures) in zip(axes, defects.items(), strict=True):
        stamps = np.clip(pictures, 0, 255)
        result = classify_cutouts({"cutout": stamps}, model=model, bands=("red", "green", "blue"))
        line[0].set_ylabel(name)
        for axis, stamp, row in zip(line, stamps, result, strict=True):
            axis.imshow(np.moveaxis(stamp, 0, 2).astype(np.uint8), origin="lower")
            axis.text(4, 84, f"{row['novelty']:.4f}", color="white", fontsize=9)
            axis.text(4, 4, row["class"], color="yellow", fontsize=7)
            axis.set(xticks=[], yticks=[])
    figure.tight_layout(pad=0.2)
    plt.show()


# %%
# The Hubble Deep Field
# ---------------------
#
# Six of its larger galaxies; the star is drawn. The picture is in scikit-image.

from photutils.background import Background2D  # noqa: E402
from photutils.segmentation import SourceCatalog, detect_sources  # noqa: E402
from skimage.data import hubble_deep_field  # noqa: E402

deep_field = hubble_deep_field().astype(np.float32)
grey = deep_field.mean(axis=2)
background = Background2D(grey, 128)
grey -= background.background
catalog = SourceCatalog(grey, detect_sources(grey, 3 * background.background_rms, 150))
x, y = catalog.centroid.T
inside = (np.minimum(x, y) > 150) & (x < 850) & (y < 720)
catalog = catalog[inside][np.argsort(-catalog.segment_flux[inside])[:6]]
data = dict(zip(("red", "green", "blue"), np.moveaxis(deep_field, 2, 0), strict=True))


def cut(positions, widths):
    x, y = np.transpose(positions)
    return extract_cutouts(data, {"x": x, "y": y}, widths, shape=96).data


sky = np.random.default_rng(1).normal(12, 6, (6, 3, 96, 96))
star = sky + 240 * np.exp(-0.5 * np.hypot(u, v) ** 2 / 4.0**2)
widths = 5.5 * np.array(catalog.equivalent_radius)
show(with_defects(cut, catalog.centroid, widths, star, sky))

# %%
# Already as they are, nearly all of them lie farther out than 99 % of the galaxies that
# the model knows: these are small and distant, and seen by another telescope, with other
# bands and another noise. Their classes should not be relied on. That the bands are
# reversed does not show here, as their usual colours are those of SDSS.
#
# A field of SDSS
# ---------------
#
# Its bands are those of the training pictures. The frames are not part of astrodlkit:
# this part runs where the environment variable ``ASTRODLKIT_DATA`` names a folder that
# holds them.

import os  # noqa: E402

if "ASTRODLKIT_DATA" in os.environ:
    import warnings
    from dataclasses import replace
    from pathlib import Path

    import astropy.units as u_
    from astropy.coordinates import SkyCoord
    from astropy.nddata import CCDData
    from astropy.table import Table
    from astropy.wcs import FITSFixedWarning

    warnings.simplefilter("ignore", FITSFixedWarning)  # the headers are of 1998
    folder = Path(os.environ["ASTRODLKIT_DATA"], "sky", "sdss_stripe82_94_1_12")
    frames = {
        band: CCDData.read(folder / f"frame-{band}-000094-1-0012.fits.bz2", unit="nmgy")
        for band in "irg"
    }
    spec = replace(model.card.input, shape=(96, 96))

    def cut_sky(positions, widths):
        stamps = extract_cutouts(
            frames, positions, widths * u_.arcsec, shape=spec.shape, conserve="flux"
        )
        images, _ = spec.prepare(stamps)
        return 255 * (images * np.reshape(spec.std, (3, 1, 1)) + np.reshape(spec.mean, (3, 1, 1)))

    sdss = Table.read(folder / "photoObj-000094-1-0012.fits")
    bright = (sdss["CMODELFLUX"][:, 2] > 25) & (sdss["NCHILD"] == 0)
    edge = np.hypot(sdss["COLC"][:, 2] - 1024, sdss["ROWC"][:, 2] - 744) < 650
    places = SkyCoord(sdss["RA"], sdss["DEC"], unit="deg")
    is_galaxy = np.flatnonzero(bright & edge & (sdss["OBJC_TYPE"] == 3))[:6]
    is_star = np.flatnonzero(bright & edge & (sdss["OBJC_TYPE"] == 6))[:6]
    widths = 4.24 * np.array(sdss["PETROTH90"][:, 2])

    wcs = frames["r"].wcs
    grid = wcs.pixel_to_world(*np.mgrid[200:1900:40, 200:1300:40].reshape(2, -1))
    blank = grid[grid.match_to_catalog_sky(places)[1] > 10 * u_.arcsec][:6]
    show(
        with_defects(
            cut_sky,
            places[is_galaxy],
            widths[is_galaxy],
            cut_sky(places[is_star], widths[is_star]),
            cut_sky(blank, np.full(6, 14.0)),
        )
    )

# %%
# As they are, the galaxies of this field do not stand out; nearly all of the defects do.
# Stamps that are too wide are told less surely here: with a source in the middle of dark
# sky they resemble those of compact galaxies.
#
# What it cannot tell: the novelty knows what stamps look like, not what is on them. A
# faint star beside the galaxy, a blend, or a rare kind of galaxy may be as near to the
# training set as any other stamp; and what is far from it may yet have the right class.
