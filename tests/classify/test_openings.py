"""How often the images of an index are opened."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from astrodlkit import classify_cutouts
from astrodlkit.cutouts import TileIndex, index_images

pytest.importorskip("pyarrow")
pytest.importorskip("pandas")

SIDE, ROWS, PART = 10, 600, 200


def tan(x0=0, y0=0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt = (150.0, 2.0), (-1e-4, 1e-4)
    wcs.wcs.crpix = 201 - x0, 201 - y0
    return wcs


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A hundred tiles, more than are kept open, and sources in random order."""
    folder = tmp_path_factory.mktemp("survey")
    rng = np.random.default_rng(1)
    for number in range(SIDE**2):
        header = tan(40 * (number % SIDE), 40 * (number // SIDE)).to_header()
        header["BUNIT"] = "nmgy"
        fits.writeto(folder / f"{number:03}.fits", rng.normal(size=(40, 40)).astype("f4"), header)
    x, y = rng.uniform(1, 398, (2, ROWS))
    sources = QTable({"id": np.arange(ROWS), "position": tan().pixel_to_world(x, y)})
    return index_images(folder), sources


def openings(index, sources, classifier, **options):
    """How often images are opened, and what is found."""
    tiles = TileIndex(index)
    found = classify_cutouts(
        sources,
        tiles,
        model=classifier,
        bands="image",
        size=3 * u.arcsec,
        batch_size=64,
        progress=False,
        **options,
    )
    return tiles._opened.opened, found


def needed(tiles, sources):
    """Tiles of each part."""
    rows = tiles.locate(sources["position"])[:, 0]
    return [len(np.unique(rows[i : i + PART])) for i in range(0, len(rows), PART)]


def test_in_memory_once_each(survey, classifier):
    index, sources = survey
    n, _ = openings(index, sources, classifier)
    assert n == len(np.unique(TileIndex(index).locate(sources["position"])))


def test_into_a_folder(survey, classifier, tmp_path):
    index, sources = survey
    tiles = TileIndex(index)
    each = needed(tiles, sources)
    assert min(each) > 64
    # In random order no more than once for each part that needs it.
    n, shuffled = openings(index, sources, classifier, output=tmp_path / "random", part_size=PART)
    assert 1.5 * len(index) < n <= sum(each)
    # In that of the sky hardly any twice: along declination a part is a strip of tiles.
    strips = sources[np.argsort(sources["position"].dec)]
    n, _ = openings(index, strips, classifier, output=tmp_path / "strips", part_size=PART)
    assert n <= len(index) + 2 * SIDE
    # In that of the index each once.
    order = tiles.order(sources["position"])
    n, found = openings(
        index, sources[order], classifier, output=tmp_path / "order", part_size=PART
    )
    assert n == len(np.unique(tiles.locate(sources["position"])))
    found, shuffled = found.read(), shuffled.read()
    found.sort("id")
    assert (found["class"] == shuffled["class"]).all()
    assert (found["flags"] == shuffled["flags"]).all()
