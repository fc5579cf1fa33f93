"""InputSpec: bands, units, stretch, masks, size."""

import json
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Cutouts, Flag
from astrodlkit.exceptions import AstrodlkitWarning
from astrodlkit.specs import InputSpec, LuptonStretch, Picture, nanomaggies

SPEC = InputSpec(
    bands=("i", "r", "g"),
    shape=(8, 8),
    mean=(0.1, 0.2, 0.3),
    std=(0.5, 0.25, 0.2),
    stretch=LuptonStretch(stretch=0.5, Q=5.0, scales=(0.8, 1.0, 1.5)),
    width=4.24,
    bright=0.5,
)


def pictures_of(images, spec=SPEC):
    """Undo the standardisation."""
    return images * np.array(spec.std)[:, None, None] + np.array(spec.mean)[:, None, None]


def half_arcsec_wcs():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cdelt = [-0.5 / 3600, 0.5 / 3600]
    wcs.wcs.crval = [30, 10]
    return wcs


def linear(values, bands=("g", "r", "i"), unit=u.nmgy / u.arcsec**2, **options):
    return Cutouts(np.asarray(values, dtype=np.float32), bands=bands, unit=unit, **options)


def test_json_round_trip():
    assert InputSpec.from_dict(json.loads(json.dumps(SPEC.to_dict()))) == SPEC
    picture = InputSpec.from_dict({**SPEC.to_dict(), "stretch": {"white": 1.0}})
    assert picture.stretch == Picture(white=1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": ("g", "r")}, "bands, mean and std must have three entries each"),
        ({"shape": (0, 8)}, "shape must be two positive numbers of pixels"),
        ({"std": (1, 0, 1)}, "std must be positive"),
        ({"colour": 1}, r"unknown keys \['colour'\]"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        InputSpec.from_dict({**SPEC.to_dict(), **options})


def test_bands_are_found_by_name():
    values = np.random.default_rng(1).random((2, 3, 8, 8))
    one, _ = SPEC.prepare(linear(values, bands=("g", "r", "i")))
    other, _ = SPEC.prepare(linear(values[:, ::-1], bands=("i", "r", "g")))
    assert_array_equal(one, other)
    wanted = SPEC.standardise(SPEC.stretch.apply(values[:, ::-1].astype(np.float32)))
    assert_allclose(one, wanted, atol=1e-6)


def test_bands_are_told():
    values = np.random.default_rng(1).random((1, 3, 8, 8))
    wanted, _ = SPEC.prepare(linear(values))
    data = linear(values, bands=("F435W", "F606W", "F814W"))
    for bands in (
        ("F814W", "F606W", "F435W"),
        {"i": "F814W", "r": "F606W", "g": "F435W"},
    ):
        images, _ = SPEC.prepare(data, bands=bands)
        assert_array_equal(images, wanted)


def test_unknown_bands_are_refused_with_the_remedy():
    data = linear(np.zeros((1, 3, 8, 8)), bands=("a", "b", "c"))
    with pytest.raises(ValueError, match=r"of the data's bands \('a', 'b', 'c'\).*bands=\('a'"):
        SPEC.prepare(data)
    with pytest.raises(ValueError, match=r"got \('a', 'z', 'c'\)"):
        SPEC.prepare(data, bands=("a", "z", "c"))
    with pytest.raises(ValueError, match=r"\['g', 'r'\] are missing"):
        SPEC.prepare(data, bands={"i": "a"})
    with pytest.raises(ValueError, match="or a single one; got None"):
        SPEC.prepare(linear(np.zeros((1, 2, 8, 8)), bands=("a", "b")))


def test_single_band_is_grey_without_the_colour_balance():
    values = np.random.default_rng(2).random((2, 1, 8, 8))
    images, _ = SPEC.prepare(linear(values, bands=("F814W",)))
    pictures = pictures_of(images)
    assert_allclose(pictures[:, 0], pictures[:, 1], atol=1e-6)
    assert_allclose(pictures[:, 0], pictures[:, 2], atol=1e-6)
    chosen, _ = SPEC.prepare(linear(np.repeat(values, 3, axis=1)), bands="r")
    assert_array_equal(chosen, images)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        (u.nmgy / u.arcsec**2, 1),
        (u.Jy / u.arcsec**2, 1 / 3.631e-6),
        (u.MJy / u.sr, 1e6 / 3.631e-6 / (u.sr.to(u.arcsec**2))),
        (u.nmgy, 4),
        (u.nmgy / u.pix, 4),
        (u.uJy, 4 / 3.631),
    ],
)
def test_units_become_surface_brightness(unit, factor):
    values = np.random.default_rng(3).random((2, 3, 8, 8))
    wanted, _ = SPEC.prepare(linear(values))
    cutouts = linear(values / factor, unit=unit, wcs=half_arcsec_wcs())
    images, _ = SPEC.prepare(cutouts)
    # One step of the 8-bit picture, where rounding falls on the other side.
    assert_allclose(pictures_of(images), pictures_of(wanted), atol=1.01 / 255)


def test_flux_per_pixel_needs_a_pixel_scale():
    with pytest.raises(ValueError, match="data in nmgy per pixel need a pixel scale"):
        SPEC.prepare(linear(np.zeros((1, 3, 8, 8)), unit=u.nmgy))


def test_flux_per_wavelength_is_refused():
    unit = u.erg / u.s / u.cm**2 / u.AA
    with pytest.raises(ValueError, match="flux per wavelength"):
        SPEC.prepare(linear(np.zeros((1, 3, 8, 8)), unit=unit))
    assert nanomaggies(u.adu) is None
    assert nanomaggies(None) is None


def test_logarithms_of_a_flux_are_refused():
    with pytest.raises(ValueError, match=r"data in mag\(AB\) are logarithms; .* to AB"):
        nanomaggies(u.ABmag)


def test_pictures_are_only_divided():
    values = np.random.default_rng(4).integers(0, 256, (2, 3, 8, 8))
    for bands in (("red", "green", "blue"), ("R", "G", "B")):
        images, flags = SPEC.prepare(linear(values, bands=bands, unit=None))
        assert_allclose(pictures_of(images), values / 255, atol=1e-6)
        assert_array_equal(flags, 0)
    images, _ = SPEC.prepare(
        linear(values / 255, bands=("a", "b", "c"), unit=None),
        bands=("a", "b", "c"),
        stretch=Picture(white=1),
    )
    assert_allclose(pictures_of(images), values / 255, atol=1e-6)


@given(scale=st.floats(1e-3, 1e6))
def test_no_unit_means_scaled_to_the_training_brightness(scale):
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    blob = np.exp(-8 * (x**2 + y**2))
    data = linear(scale * blob[None, None], bands=("counts",), unit=u.adu)
    with pytest.warns(AstrodlkitWarning, match="no flux unit"):
        images, _ = SPEC.prepare(data)
    # Not resized, to look at the pixels themselves.
    spec = InputSpec.from_dict({**SPEC.to_dict(), "shape": (32, 32)})
    with pytest.warns(AstrodlkitWarning, match="no flux unit"):
        images, _ = spec.prepare(data)
    assert_allclose(np.percentile(pictures_of(images)[0, 0], 99), SPEC.bright, atol=0.03)


def test_a_row_does_not_depend_on_the_others():
    values = np.random.default_rng(5).random((5, 3, 11, 9))
    with pytest.warns(AstrodlkitWarning):
        together, _ = SPEC.prepare(linear(values, unit=None))
    for i in range(5):
        with pytest.warns(AstrodlkitWarning):
            alone, _ = SPEC.prepare(linear(values[i : i + 1], unit=None))
        assert_array_equal(alone[0], together[i])


def test_masked_and_non_finite_pixels_are_sky():
    values = np.full((4, 3, 8, 8), 0.5, dtype=np.float32)
    values[0, 0, 2, 2] = np.nan
    values[1, 1, 3, 3] = np.inf
    values[3, 0, 0, 0] = 0.7
    mask = np.zeros(values.shape, dtype=bool)
    mask[2, 2, 4:] = True
    images, flags = SPEC.prepare(linear(values, mask=mask))
    assert np.isfinite(images).all()
    assert_array_equal(
        flags,
        [
            Flag.NON_FINITE | Flag.MASKED_PIXELS | Flag.BLANK,
            Flag.NON_FINITE | Flag.MASKED_PIXELS | Flag.BLANK,
            Flag.MASKED_PIXELS | Flag.BLANK,
            0,
        ],
    )
    replaced = np.where(np.isfinite(values) & ~mask, values, 0)
    wanted, _ = SPEC.prepare(linear(replaced))
    assert_array_equal(images, wanted)


def test_the_middle_that_is_missing():
    values = np.zeros((5, 4, 8, 8), dtype=np.float32)
    mask = np.zeros(values.shape, dtype=bool)
    values[1, :, :4] = np.nan
    mask[2, 1, :3] = True
    mask[3, :, :2] = True  # the rim
    mask[4, 3] = True  # a band that the network does not see
    missing = SPEC.missing(linear(values, bands=("g", "r", "i", "z"), mask=mask))
    assert_allclose(missing, [0, 0.5, 0.25 / 3, 0, 0])
    assert_allclose(SPEC.missing(linear(values[:, :3], mask=mask[:, :3]), bands="g")[1:3], [0.5, 0])
    assert SPEC.missing(linear(values[:0, :3])).shape == (0,)


def test_the_cutouts_stay_as_they_are():
    values = np.random.default_rng(8).normal(size=(20, 3, 8, 8)).astype(np.float32)
    mask = values > 1
    cutouts = linear(values, mask=mask)
    SPEC.prepare(cutouts)
    assert_array_equal(cutouts.data, values)
    assert_array_equal(cutouts.mask, mask)
    assert_array_equal(cutouts.flags, Flag.MASKED_PIXELS)


def test_stamps_of_the_right_shape_are_not_resized(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    values = np.random.default_rng(9).random((3, 3, 8, 8))
    images, _ = SPEC.prepare(linear(values))
    assert images.shape == (3, 3, 8, 8)
    with pytest.raises(ImportError):
        SPEC.prepare(linear(values[:, :, :7]))


def test_nothing_usable():
    values = np.ones((2, 3, 8, 8))
    values[0] = np.nan
    mask = np.zeros(values.shape, dtype=bool)
    mask[1] = True
    _, flags = SPEC.prepare(linear(values, mask=mask))
    assert_array_equal(
        flags,
        [
            Flag.ALL_MASKED | Flag.NON_FINITE | Flag.MASKED_PIXELS,
            Flag.ALL_MASKED | Flag.MASKED_PIXELS,
        ],
    )


def test_flags_are_added_to():
    cutouts = linear(np.random.default_rng(0).random((2, 3, 8, 8)), flags=[0, Flag.RESAMPLED])
    _, flags = SPEC.prepare(cutouts)
    assert_array_equal(flags, [0, Flag.RESAMPLED])


def test_no_rows():
    images, flags = SPEC.prepare(linear(np.zeros((0, 3, 5, 5))))
    assert images.shape == (0, 3, 8, 8)
    assert len(flags) == 0


def test_resize_keeps_the_mean_and_the_field():
    y, x = np.mgrid[0:32, 0:32]
    ramp = (x + y) / 62
    cutouts = Cutouts(np.broadcast_to(ramp, (1, 3, 32, 32)).copy(), bands=("red", "green", "blue"))
    images, _ = SPEC.prepare(cutouts, stretch=Picture(white=1))
    picture = pictures_of(images)[0, 0]
    assert_allclose(picture.mean(), 0.5, atol=1e-6)
    wanted = ramp.reshape(8, 4, 8, 4).mean((1, 3))
    assert_allclose(picture[1:-1, 1:-1], wanted[1:-1, 1:-1], atol=1e-6)


@given(values=arrays(np.float32, (2, 3, 6, 6), elements=st.floats(width=32)))
def test_whatever_comes_the_network_gets_finite_numbers(values):
    images, flags = SPEC.prepare(linear(values))
    assert images.dtype == np.float32
    assert np.isfinite(images).all()
    assert_array_equal(flags & Flag.NON_FINITE > 0, ~np.isfinite(values).all(axis=(1, 2, 3)))


@pytest.mark.parametrize("stretch", ["asinh", None, 3])
def test_wrong_stretch(stretch):
    with pytest.raises(ValueError, match="stretch must be 'auto', a LuptonStretch"):
        SPEC.prepare(linear(np.zeros((1, 3, 8, 8))), stretch=stretch)


def test_a_model_for_pictures_refuses_linear_data():
    spec = InputSpec.from_dict({**SPEC.to_dict(), "stretch": {"white": 255}})
    with pytest.raises(ValueError, match="takes finished pictures"):
        spec.prepare(linear(np.zeros((1, 3, 8, 8))))
