"""A band of a tile in no unit, or in another kind of unit, does not stop a run."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from astrodlkit import Flag, classify_cutouts
from astrodlkit.cutouts import index_images
from astrodlkit.exceptions import AstrodlkitWarning


def tan(number):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt = (150.0, 2.0), (-1e-4, 1e-4)
    wcs.wcs.crpix = 31 - 60 * number, 31
    return wcs


@pytest.mark.parametrize("unit", ["bogus", "K"])
@pytest.mark.parametrize("output", [False, True])
def test_rows_get_a_flag(classifier, tmp_path, unit, output):
    rng = np.random.default_rng(1)
    folder = tmp_path / "tiles"
    folder.mkdir()
    for number in range(3):
        for band in "gri":
            header = tan(number).to_header()
            header["FILTER"], header["BUNIT"] = band, "nmgy"
            if number == 1 and band == "g":
                header["BUNIT"] = unit
            # Of one band in another unit that converts.
            factor = 1.0
            if number == 2 and band == "g":
                header["BUNIT"], factor = "Jy", 3.631e-6
            data = rng.normal(size=(60, 60)) * factor
            fits.writeto(folder / f"{number}-{band}.fits", data.astype("f4"), header)
    places = tan(0).pixel_to_world(np.repeat([30.0, 90.0, 150.0], 4), np.tile([20, 25, 30, 35], 3))
    options = {"model": classifier, "size": 6 * u.arcsec, "progress": False}
    if output:
        pytest.importorskip("pyarrow")
        pytest.importorskip("pandas")
        options |= {"output": tmp_path / "out", "part_size": 5}
    with pytest.warns(AstrodlkitWarning, match=r"1-g\.fits") as caught:
        found = classify_cutouts(QTable({"position": places}), index_images(folder), **options)
    assert sum(issubclass(w.category, AstrodlkitWarning) for w in caught) == 1
    found = found.read() if output else found
    bad = found["flags"] & Flag.UNREADABLE != 0
    assert bad.tolist() == [False] * 4 + [True] * 4 + [False] * 4
    assert np.isfinite(found["class_probability"][~bad]).all()
