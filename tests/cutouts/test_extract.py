"""Native stamps: the image's own pixels at the right places."""

import tracemalloc

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.nddata import Cutout2D, NoOverlapError
from astropy.table import QTable, Table
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag, extract_cutouts
from astrodlkit.cutouts import Cutouts, iter_cutouts

SHAPE = (200, 220)


@pytest.fixture
def picture():
    return np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)


@pytest.mark.parametrize("size", [8, 9, (5, 12)])
def test_same_pixels_as_cutout2d(picture, make_wcs, size):
    wcs = make_wcs()
    x, y = np.random.default_rng(2).uniform(-12, 232, (2, 300))
    coords = wcs.pixel_to_world(x, y)
    cutouts = extract_cutouts((picture, wcs), coords, size, fill_value=-7.0)
    for i in range(300):
        try:
            expected = Cutout2D(
                picture, coords[i], size, wcs=wcs, mode="partial", fill_value=-7.0
            ).data
        except NoOverlapError:
            assert cutouts.flags[i] & Flag.NO_OVERLAP
            assert cutouts.mask[i].all()
            assert (cutouts.data[i] == -7.0).all()
            continue
        assert_array_equal(cutouts.data[i, 0], expected)
        assert_array_equal(cutouts.mask[i, 0], expected == -7.0)
        assert bool(cutouts.flags[i] & Flag.PARTIAL_OVERLAP) == (expected == -7.0).any()


@pytest.mark.parametrize("sip", [False, True])
@pytest.mark.parametrize(
    ("ra", "dec"), [(150.0, 2.0), (0.0, 0.0), (359.999, -30.0), (12.0, 90.0), (80.0, -89.99)]
)
def test_wcs_of_a_stamp_is_the_parents(picture, make_wcs, sip, ra, dec):
    wcs = make_wcs(ra, dec, angle=33, sip=sip)
    x, y = np.array([[110.2, 1.7, 219.0, 54.5], [101.1, 3.0, 199.0, 180.9]])
    cutouts = extract_cutouts((picture, wcs), wcs.pixel_to_world(x, y), 16)
    for stamps in (cutouts, Cutouts.from_table(cutouts.to_table())):
        for i in range(4):
            left, bottom = np.ceil(x[i] - 8), np.ceil(y[i] - 8)
            px, py = np.meshgrid(np.arange(16.0), np.arange(16.0))
            ours = stamps.image(i).wcs.pixel_to_world(px, py)
            parents = wcs.pixel_to_world(px + left, py + bottom)
            assert ours.separation(parents).arcsec.max() < 1e-6 * 0.4
    assert_allclose(cutouts.pixel_scale.value, 0.4, rtol=0.02 if sip else 1e-6)
    assert cutouts.pixel_scale.unit == u.arcsec / u.pix


def test_positions_follow_distortion(make_wcs, make_blob):
    wcs = make_wcs(sip=True)
    # No shape in the WCS and a reference pixel in the corner: the image's own shape counts.
    wcs.pixel_shape = None
    cutouts = extract_cutouts((make_blob(200, 30), wcs), wcs.pixel_to_world([200.0], [30.0]), 21)
    assert np.unravel_index(cutouts.data[0, 0].argmax(), (21, 21)) == (10, 10)


def test_bands_on_other_grids(make_wcs, make_blob):
    first, second = make_wcs(), make_wcs(shape=(190, 240))
    second.wcs.crpix = first.wcs.crpix + np.array([13, -8])
    second.pixel_shape = None
    coords = first.pixel_to_world([60.0, 150.0], [70.0, 120.0])
    x, y = second.world_to_pixel(coords)
    data = {
        "g": (make_blob(60, 70) + make_blob(150, 120), first),
        "r": (make_blob(x[0], y[0], shape=(190, 240)), second),
    }
    cutouts = extract_cutouts(data, coords, 15)
    assert cutouts.bands == ("g", "r")
    assert_allclose(cutouts.data[0, 0], cutouts.data[0, 1], atol=1e-12)
    for band in "gr":
        there = cutouts.image(0, band).wcs.world_to_pixel(coords[0])
        assert_allclose(there, (7, 7), atol=1e-6)
    # Pixel positions are those of the first band.
    table = {"x_centroid": [60.0, 150.0], "y_centroid": [70.0, 120.0]}
    assert_allclose(extract_cutouts(data, table, 15).data, cutouts.data)
    only = extract_cutouts(data, coords, 15, bands=("r",))
    assert_allclose(only.data[:, 0], cutouts.data[:, 1])


@pytest.mark.parametrize("change", [{"scale": 0.5}, {"angle": 20}])
def test_bands_with_other_pixels_need_a_pixel_scale(picture, make_wcs, change):
    data = {"g": (picture, make_wcs()), "r": (picture, make_wcs(**change))}
    coords = SkyCoord([150.0], [2.0], unit="deg")
    with pytest.raises(ValueError, match=r"'g' and 'r' differ in size or direction .*pixel_scale="):
        extract_cutouts(data, coords, 15)
    assert extract_cutouts(data, coords, 15, pixel_scale=0.4 * u.arcsec).shape == (1, 2, 15, 15)


def test_size_as_an_angle(picture, make_wcs):
    coords = SkyCoord([150.0], [2.0], unit="deg")
    data = (picture, make_wcs())
    assert extract_cutouts(data, coords, 8 * u.arcsec).shape[2:] == (20, 20)
    assert extract_cutouts(data, coords, [0.1, 0.2] * u.arcmin).shape[2:] == (15, 30)
    assert extract_cutouts(data, coords, 7 * u.pix).shape[2:] == (7, 7)


def test_cube_is_bands_on_one_grid(picture, make_wcs):
    cube = np.stack([picture, picture * 2, picture * 3])
    coords = SkyCoord([150], [2], unit="deg")
    cutouts = extract_cutouts((cube, make_wcs()), coords, 6, bands=("i", "r", "g"))
    assert cutouts.bands == ("i", "r", "g")
    assert_allclose(cutouts.data[0, 2], 3 * cutouts.data[0, 0])
    # A picture without a WCS, its colours apart.
    colours = dict(zip("irg", cube, strict=True))
    apart = extract_cutouts(colours, {"x": [50.0], "y": [60.0]}, 6)
    assert apart.pixel_scale is None
    assert apart.positions is None
    assert apart.image(0, "r").wcs is None


def test_picture_with_colours_last_is_explained():
    with pytest.raises(ValueError, match=r"moveaxis\(picture, -1, 0\)"):
        extract_cutouts(np.zeros((20, 30, 3), np.uint8), {"x": [5], "y": [5]}, 4)


def test_chunks_are_the_whole(picture, make_wcs):
    wcs = make_wcs()
    x, y = np.random.default_rng(4).uniform(-5, 225, (2, 57))
    coords = wcs.pixel_to_world(x, y)
    for options in ({}, {"pixel_scale": 0.7 * u.arcsec, "north_up": True}):
        whole = extract_cutouts((picture, wcs), coords, 10, **options)
        parts = list(iter_cutouts((picture, wcs), coords, 10, chunk=10, **options))
        assert [len(part) for part in parts] == [10] * 5 + [7]
        joined = Cutouts.concatenate(parts)
        assert_array_equal(joined.data, whole.data)
        assert_array_equal(joined.flags, whole.flags)
        assert_array_equal(joined.mask, whole.mask)
        assert_array_equal(joined.positions.ra, whole.positions.ra)
        assert_array_equal(joined.pixel_scale, whole.pixel_scale)


def test_chunks_check_their_arguments_at_once(picture):
    table = {"x": [5.0], "y": [5.0]}
    for chunk in (0, 1.5):
        with pytest.raises(ValueError, match="chunk must be a positive number of rows"):
            iter_cutouts(picture, table, 5, chunk=chunk)
    with pytest.raises(TypeError, match="sise"):
        iter_cutouts(picture, table, 5, sise=3)
    with pytest.raises(ValueError, match="no columns known as positions"):
        iter_cutouts(picture, {"a": [1]}, 5)


@pytest.mark.parametrize("resampled", [False, True])
def test_zero_rows(picture, make_wcs, resampled):
    options = {"pixel_scale": 0.3 * u.arcsec} if resampled else {}
    data = (picture << u.nJy, make_wcs())
    empty = SkyCoord([], [], unit="deg")
    cutouts = extract_cutouts(data, empty, 12, **options)
    assert cutouts.shape == (0, 1, 12, 12)
    assert cutouts.data.dtype == np.float32
    assert cutouts.unit == u.nJy
    assert cutouts.flags.dtype == np.int32
    assert len(cutouts.positions) == len(cutouts.pixel_scale) == 0
    again = Cutouts.from_table(cutouts.to_table())
    assert again.shape == cutouts.shape
    assert [len(part) for part in iter_cutouts(data, empty, 12, **options)] == [0]
    assert extract_cutouts(picture, Table({"x": [], "y": []}), 12).shape == (0, 1, 12, 12)
    by_row = extract_cutouts(data, empty, [] * u.arcsec, shape=20)
    assert by_row.shape == (0, 1, 20, 20)


def test_invalid_positions_keep_their_rows(picture, make_wcs):
    table = QTable({"ra": np.ma.array([150, 150, np.nan, 330, 150], mask=[0, 1, 0, 0, 0])})
    table["dec"] = [2, 2, 2, -2, np.inf]
    cutouts = extract_cutouts((picture, make_wcs()), table, 8, fill_value=3)
    # The fourth is on the other side of the sky, where a tangent plane has no place.
    assert_array_equal((cutouts.flags & Flag.INVALID_POSITION) > 0, [0, 1, 1, 1, 1])
    assert cutouts.mask[1:].all()
    assert (cutouts.data[1:] == 3).all()
    assert not cutouts.mask[0].any()
    assert cutouts.image(1).wcs is None
    assert np.isnan(cutouts.pixel_scale[1:]).all()
    resampled = extract_cutouts((picture, make_wcs()), table, 8, pixel_scale=0.4 * u.arcsec)
    assert_array_equal(resampled.flags[1:], cutouts.flags[1:])
    assert resampled.image(1).wcs is None
    assert resampled.flags[0] == Flag.RESAMPLED


@pytest.mark.parametrize("sip", [False, True])
def test_far_positions_are_off_the_image(picture, make_wcs, sip):
    wcs = make_wcs(sip=sip)
    coords = SkyCoord([150.0, 151.0, 200.0, 150.0], [2.0, 2.0, 60.0, -85.0], unit="deg")
    flags = extract_cutouts((picture, wcs), coords, 8).flags
    assert flags[0] == 0
    assert (flags[1:] & Flag.NO_OVERLAP).all()
    huge = extract_cutouts(picture, {"x": [1e300, -1e30], "y": [0.0, 1e12]}, 8)
    assert (huge.flags & Flag.NO_OVERLAP).all()


def test_duplicated_positions_give_duplicated_rows(picture):
    cutouts = extract_cutouts(picture, {"x": [50.0, 50.0], "y": [60.0, 60.0]}, 8)
    assert_array_equal(cutouts.data[0], cutouts.data[1])
    cutouts.data[0] = 0
    assert cutouts.data[1].any()


def test_image_is_not_touched(picture):
    picture[50, 50] = np.nan
    before = picture.copy()
    cutouts = extract_cutouts(picture, {"x": [50.0], "y": [50.0]}, 8)
    cutouts.data[:] = 0
    assert_array_equal(picture, before)


def test_many_rows():
    n = 1_000_000
    x = np.arange(n) % 50
    cutouts = extract_cutouts(np.arange(2500.0).reshape(50, 50), {"x": x, "y": x}, 1)
    assert_array_equal(cutouts.data.ravel(), 51 * x)
    assert (cutouts.flags == Flag.BLANK).all()


def test_memory_does_not_grow_with_rows(picture):
    peaks = []
    for n in (2_000, 20_000):
        table = Table({"x": np.full(n, 100.0), "y": np.full(n, 100.0)})
        tracemalloc.start()
        for _ in iter_cutouts(picture, table, 32, chunk=500):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000


@pytest.mark.parametrize(
    ("size", "error", "match"),
    [
        (0, ValueError, "positive"),
        (-3, ValueError, "positive"),
        (np.nan, ValueError, "positive"),
        (2.5, ValueError, "whole pixels.*u.arcsec"),
        ("8", TypeError, "size must be numbers"),
        ((8, 8, 8), ValueError, r"\(ny, nx\).*shape="),
        (3 * u.s, u.UnitConversionError, "pixels or an angle"),
        (3 * u.arcsec, ValueError, "no celestial WCS"),
    ],
)
def test_bad_size(picture, size, error, match):
    with pytest.raises(error, match=match):
        extract_cutouts(picture, {"x": [5.0], "y": [5.0]}, size)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"method": "cubic"}, ValueError, "method must be one of"),
        ({"conserve": "counts"}, ValueError, "conserve must be one of"),
        ({"fill_value": np.nan}, ValueError, "fill_value must be a finite number"),
        ({"fill_value": 1e300}, ValueError, "fill_value must be a finite number"),
        ({"fill_value": "0"}, ValueError, "fill_value must be a finite number"),
        ({"pixel_scale": 0.4}, TypeError, r"0.4 has no unit; write pixel_scale=0.4 \* u.arcsec"),
        ({"pixel_scale": 0.4 * u.s}, u.UnitConversionError, "must be an angle"),
        ({"pixel_scale": -0.4 * u.arcsec}, ValueError, "one positive angle"),
        ({"pixel_scale": [1, 2] * u.arcsec}, ValueError, "one positive angle"),
        ({"shape": 0}, ValueError, "shape must be a positive whole number"),
        ({"shape": (8, 8), "pixel_scale": 1 * u.arcsec}, ValueError, "only two of the three"),
        ({"bands": ("a", "b")}, ValueError, "2 names for 1 images"),
    ],
)
def test_bad_options(picture, make_wcs, options, error, match):
    with pytest.raises(error, match=match):
        extract_cutouts((picture, make_wcs()), SkyCoord([150], [2], unit="deg"), 8, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"pixel_scale": 1 * u.arcsec},
        {"north_up": True},
        {"shape": 9, "method": "exact"},
    ],
)
def test_without_a_wcs_no_sky(picture, options):
    with pytest.raises(ValueError, match="no celestial WCS"):
        extract_cutouts(picture, {"x": [5.0], "y": [5.0]}, 8, **options)
    with pytest.raises(ValueError, match="no celestial WCS, which positions on the sky"):
        extract_cutouts(picture, SkyCoord([1], [2], unit="deg"), 8)
