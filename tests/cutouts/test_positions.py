"""Positions out of whatever the user holds."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK5, Galactic, SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table
from numpy.testing import assert_allclose, assert_array_equal
from photutils.segmentation import SegmentationImage, SourceCatalog

from astrodlkit import extract_cutouts
from astrodlkit.cutouts import read_positions, read_table

LON, LAT = np.array([10.5, 359.9]), np.array([-5.0, 45.25])
COORDS = SkyCoord(LON, LAT, unit="deg")


@pytest.mark.parametrize(
    "names",
    [
        ("ra", "dec"),
        ("RA", "DEC"),
        ("ra_deg", "dec_deg"),
        ("RAJ2000", "DEJ2000"),
        ("ALPHA_J2000", "DELTA_J2000"),
        ("raMean", "decMean"),
        ("RA_ICRS", "DE_ICRS"),
    ],
)
@pytest.mark.parametrize("cls", [Table, QTable, dict, "DataFrame"])
def test_sky_columns(names, cls):
    if cls == "DataFrame":
        cls = pytest.importorskip("pandas").DataFrame
    found = read_positions(cls({names[0]: LON, names[1]: LAT}))
    assert_allclose(found.ra.deg, LON)
    assert_allclose(found.dec.deg, LAT)


def test_sky_columns_with_units():
    table = {"ra": (LON * u.deg).to(u.hourangle), "dec": (LAT * u.deg).to(u.rad)}
    for cls in (Table, QTable, dict):
        assert read_positions(cls(table)).separation(COORDS).arcsec.max() < 1e-6


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("x_centroid", "y_centroid"), 0),
        (("xcentroid", "ycentroid"), 0),
        (("x_fit", "y_fit"), 0),
        (("x_0", "y_0"), 0),
        (("x_init", "y_init"), 0),
        (("x_peak", "y_peak"), 0),
        (("x", "y"), 0),
        (("xcenter", "ycenter"), 0),
        (("X_IMAGE", "Y_IMAGE"), 1),
    ],
)
def test_pixel_columns(names, first):
    for unit in (1, u.pix):
        x, y = read_positions(QTable({names[0]: [3, 4] * unit, names[1]: [5, 6] * unit}))
        assert_array_equal((x, y), [[3 - first, 4 - first], [5 - first, 6 - first]])


def test_coordinate_columns():
    for name in ("sky_centroid", "skycoord", "anything"):
        assert_array_equal(read_positions(QTable({name: COORDS})).ra, COORDS.ra)
    both = QTable({"a": COORDS, "b": COORDS[::-1]})
    with pytest.raises(ValueError, match=r"more than one coordinate column, \['a', 'b'\].*\['a'\]"):
        read_positions(both)
    both["sky_centroid"] = COORDS
    assert_array_equal(read_positions(both).ra, COORDS.ra)
    # Which of sky and pixels counts is the image's matter.
    both["x"], both["y"] = [1.0, 2.0], [3.0, 4.0]
    assert isinstance(read_positions(both), SkyCoord)
    assert_array_equal(read_positions(both, prefer_sky=False)[0], [1, 2])


def test_coordinates():
    assert read_positions(COORDS[0]).shape == (1,)
    assert read_positions(FK5(LON * u.deg, LAT * u.deg)).frame.name == "fk5"
    with pytest.raises(ValueError, match="one-dimensional"):
        read_positions(COORDS.reshape(1, 2))
    galactic = read_positions(Galactic(LON * u.deg, LAT * u.deg))
    assert_allclose(galactic.l.deg, LON)


@pytest.mark.parametrize("cls", [Table, QTable])
def test_masked_and_infinite_are_nan(cls):
    table = cls({"ra": MaskedColumn([1.0, 2, np.inf], mask=[0, 1, 0]), "dec": [1.0, np.nan, 3]})
    assert_array_equal(np.isnan(read_positions(table).ra), [False, True, True])
    quantity = QTable({"x": MaskedColumn([1.0, 2], mask=[0, 1], unit="pix"), "y": [1, 2]})
    assert_array_equal(np.isnan(read_positions(quantity)[0]), [False, True])
    integers = Table({"x": MaskedColumn([1, 2], mask=[0, 1]), "y": [1, 2]})
    assert_array_equal(np.isnan(read_positions(integers)[0]), [False, True])


def test_masked_coordinates():
    pytest.importorskip("astropy", minversion="7.0")
    from astropy.utils.masked import Masked

    masked = SkyCoord(Masked(LON * u.deg, [False, True]), LAT * u.deg)
    assert_array_equal(np.isnan(read_positions(masked).ra), [False, True])


def test_latitude_beyond_the_pole_is_invalid():
    found = read_positions({"ra": [0.0, 0.0], "dec": [90.0, 91.0]})
    assert_array_equal(np.isnan(found.dec), [False, True])


@pytest.fixture
def catalog(make_blob, make_wcs):
    image = make_blob(60.25, 70) + make_blob(150, 120.5)
    labels = (make_blob(60.25, 70) > 1e-4) + 2 * (make_blob(150, 120.5) > 1e-4)
    segments = SegmentationImage(labels)
    return image, segments, SourceCatalog(image, segments, wcs=make_wcs())


def test_source_catalog(catalog, make_wcs):
    image, segments, sources = catalog
    assert isinstance(read_table(sources), QTable)
    cutouts = extract_cutouts((image, make_wcs()), sources, 21)
    found = make_wcs().world_to_pixel(cutouts.positions)
    assert_allclose(found, [[60.25, 150], [70, 120.5]], atol=0.02)
    # One without a WCS has a sky column of nothing.
    plain = SourceCatalog(image, segments)
    assert_array_equal(extract_cutouts(image, plain, 21).data, cutouts.data)
    assert_array_equal(extract_cutouts((image, make_wcs()), plain, 21).data, cutouts.data)


@pytest.mark.parametrize(
    ("table", "error", "match"),
    [
        (None, TypeError, "a table is needed, got None"),
        ("catalogue.fits", TypeError, r"Table.read\(...\)"),
        (3, TypeError, "SourceCatalog or something Table"),
        (np.zeros((3, 2)), ValueError, r"no columns known as positions, only \['col0', 'col1'\]"),
        ({"flux": [1, 2]}, ValueError, "name them 'ra' and 'dec', or 'x' and 'y'"),
        (
            {"ra": ["10:00", "11:00"], "dec": ["1", "2"]},
            TypeError,
            "'ra' must hold numbers, not <U5",
        ),
        ({"ra": np.array([1, None]), "dec": [1, 2]}, TypeError, "must hold numbers, not object"),
        ({"ra": [1, 2] * u.m, "dec": [1, 2] * u.deg}, u.UnitConversionError, "'ra' has unit m"),
        (
            Table({"ra": Column([1], unit=u.Unit("degrees", parse_strict="silent")), "dec": [1]}),
            u.UnitConversionError,
            "'ra' has unit degrees",
        ),
        ({"x": [1, 2] * u.deg, "y": [1, 2] * u.deg}, u.UnitConversionError, "'x' has unit deg"),
        ({"x": np.zeros((2, 2)), "y": [1, 2]}, ValueError, r"'x' has shape \(2, 2\)"),
        ({"x": [1, 2], "y": [1]}, TypeError, "a table"),
    ],
)
def test_what_has_no_positions(table, error, match):
    with pytest.raises(error, match=match):
        read_positions(table)
    with pytest.raises(error, match=match):
        extract_cutouts(np.zeros((9, 9)), table, 3)
