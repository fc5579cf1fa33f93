import astropy.units as u
import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, QTable, Table
from numpy.testing import assert_allclose

from astrodlkit.classify._sizes import MEASURED, given_widths, read_widths

RADII = 4.24


def widths(radii=RADII, **columns):
    return read_widths(QTable(columns), radii)


@pytest.mark.parametrize(
    ("columns", "r90"),
    [
        ({"petroR90_r": [5.0]}, 5 * u.arcsec),
        ({"PETROR90": [5.0] * u.arcmin}, 300 * u.arcsec),
        ({"PETROTH90_r": [5.0]}, 5 * u.arcsec),
        ({"petro_r90": [5.0] * u.pix}, 5 * u.pix),
        ({"r90": [5.0] * u.arcsec}, 5 * u.arcsec),
        ({"petroRad_i": [5.0]}, 5 * MEASURED["petrosian"] * u.arcsec),
        (
            {"kron_radius": [3.0] * u.pix, "semimajor_axis": [2.0] * u.pix},
            6 * MEASURED["kron"] * u.pix,
        ),
        ({"kron_radius": [3.0], "semimajor_sigma": [2.0]}, 6 * MEASURED["kron"] * u.pix),
        ({"KRON_RADIUS": [5.0], "A_IMAGE": [3.0]}, 6 * MEASURED["kron"] * u.pix),
        ({"petroR50_r": [2.0]}, 2 * MEASURED["half_light"] * u.arcsec),
        ({"FLUX_RADIUS": [2.0]}, 2 * MEASURED["half_light"] * u.pix),
        ({"half_light_radius": [2.0] * u.arcsec}, 2 * MEASURED["half_light"] * u.arcsec),
        ({"equivalent_radius": [7.0] * u.pix}, 7 * MEASURED["equivalent"] * u.pix),
        ({"segment_area": [4 * np.pi]}, 2 * MEASURED["equivalent"] * u.pix),
        ({"area": [4 * np.pi] * u.pix**2}, 2 * MEASURED["equivalent"] * u.pix),
        ({"area": [4 * np.pi] * u.arcsec**2}, 2 * MEASURED["equivalent"] * u.arcsec),
        (
            {"bbox_xmin": [10], "bbox_xmax": [19], "bbox_ymin": [5], "bbox_ymax": [8]},
            5 * MEASURED["bbox"] * u.pix,
        ),
    ],
)
def test_every_measure_of_size(columns, r90):
    found = widths(**columns)
    assert_allclose(found.values.to_value(r90.unit), [RADII * r90.value])


def test_the_best_measure_comes_first_and_a_row_takes_the_first_it_has():
    found = widths(
        area=[np.pi, np.pi, np.pi] * u.arcsec**2,
        petroR50_r=[1.0, 1.0, -9999.0],
        petroR90_r=MaskedColumn([5.0, 5.0, np.nan], mask=[False, True, False]),
    )
    expected = np.array([5, MEASURED["half_light"], MEASURED["equivalent"]])
    assert_allclose(found.values.to_value("arcsec"), RADII * expected)
    assert found.rule == "4.24 Petrosian-90 radii from petroR90_r, else petroR50_r, else area"


def test_columns_that_mean_something_else_do_not_stop_the_others():
    found = widths(petroR90_r=[5.0, -9999.0], r50=[3.0, 3.0], area=["COSMOS", "GOODS"])
    assert_allclose(found.values.to_value("arcsec"), [RADII * 5, -RADII * 9999])
    found = widths(petroR90_r=[5.0, np.nan], r_eff=[3.0, 3.0] * u.kpc, area=[1, 1] * u.kpc**2)
    assert_allclose(found.values.to_value("arcsec"), [RADII * 5, np.nan])
    with pytest.raises(u.UnitConversionError, match="column 'area' must be an angle or in pixels"):
        widths(area=[1.0] * u.kpc**2)


def test_angles_and_pixels_are_not_mixed():
    found = widths(petroR90=[np.nan, 5.0], flux_radius=[3.0, 3.0])
    assert_allclose(found.values.to_value("arcsec"), [np.nan, RADII * 5])


def test_the_r_band_is_preferred_and_arrays_of_bands_are_passed_over():
    found = widths(petroR90_u=[1.0], petroR90_r=[2.0], petroR90=[[1.0, 1.0, 2.0, 3.0, 4.0]])
    assert_allclose(found.values.value, RADII * 2)


@pytest.mark.parametrize("name", ["mag", "x", "kron_radius", "KRON_FLUX"])
def test_other_columns_tell_nothing(name):
    assert widths(**{name: [1.0]}) is None


@pytest.mark.parametrize("name", ["half_light_radius", "r50", "R90"])
def test_a_unit_is_asked_for_where_the_name_does_not_tell_it(name):
    with pytest.raises(ValueError, match=rf"column '{name}' has no unit: .*\.unit = 'arcsec'"):
        widths(**{name: [1.0]})


def test_a_unit_that_is_no_size():
    with pytest.raises(u.UnitConversionError, match="column 'petroR90' must be an angle or in pix"):
        widths(petroR90=[1.0] * u.kg)


def test_masked_quantities_and_big_endian_columns():
    table = QTable(
        Table({"petroR90": MaskedColumn(np.array([1, 2], ">f4"), mask=[1, 0], unit="arcsec")})
    )
    assert_allclose(read_widths(table, 1).values.to_value("arcsec"), [np.nan, 2])


TABLE = QTable({"width": [10, 20, 30] * u.arcsec, "n": Column([1, 2, 3])})


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (64, [64] * 3 * u.pix),
        (64 * u.pix, [64] * 3 * u.pix),
        (np.int64(5), [5] * 3 * u.pix),
        (1 * u.arcmin, [60] * 3 * u.arcsec),
        ("width", [10, 20, 30] * u.arcsec),
        ([4, 5, np.nan], [4, 5, np.nan] * u.pix),
        ([4, -5, 6] * u.arcsec, [4, -5, 6] * u.arcsec),
        (np.ma.masked_equal([4.0, 5.0, 6.0], 5), [4, np.nan, 6] * u.pix),
        (TABLE["width"], [10, 20, 30] * u.arcsec),
    ],
)
def test_sizes_that_are_given(size, expected):
    assert_allclose(given_widths(size, TABLE).values.to_value(expected.unit), expected.value)


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        ("height", ValueError, "size names no column of the table: got 'height', there are"),
        ("n", ValueError, "column 'n' has no unit: angle or pixels"),
        (0, ValueError, "size must be positive, got 0"),
        (-3 * u.arcsec, ValueError, "size must be positive"),
        (np.nan, ValueError, "size must be positive, got nan"),
        ([1, 2], ValueError, r"one for each of the 3 rows, got shape \(2,\)"),
        (np.ones((3, 2)), ValueError, r"got shape \(3, 2\)"),
        (3 * u.Jy, u.UnitConversionError, "size must be an angle or in pixels, got Jy"),
        (object(), TypeError, "size must be a number of pixels, an angle, a column name"),
        ({}, TypeError, "for example size=30"),
    ],
)
def test_sizes_that_mean_nothing(size, error, message):
    with pytest.raises(error, match=message):
        given_widths(size, TABLE)
