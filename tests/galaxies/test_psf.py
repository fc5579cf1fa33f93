"""The same PSF in every form that people have it in."""

import astropy.units as u
import numpy as np
import pytest
from astropy.convolution import CustomKernel
from astropy.modeling.models import Gaussian2D
from astropy.nddata import NDData
from numpy.testing import assert_allclose, assert_array_equal
from photutils.psf import CircularGaussianPRF, ImagePSF

from astrodlkit.exceptions import AstrodlkitWarning
from astrodlkit.galaxies._psf import read_psfs

galsim = pytest.importorskip("galsim")

SCALE = 0.2
PROFILE = galsim.Moffat(beta=3.5, fwhm=0.7)


def _image(fine=1, n=65, shift=(0.0, 0.0)):
    """The PSF with a pixel, on pixels or parts of pixels."""
    with_pixel = galsim.Convolve(PROFILE, galsim.Pixel(SCALE)).shift(*shift)
    image = with_pixel.drawImage(nx=n * fine, ny=n * fine, scale=SCALE / fine, method="no_pixel")
    return image.array.astype(float)


@pytest.fixture
def stamps(profiles, table, options):
    """The stamps with the PSF."""
    return profiles.simulate(table, **options)


FORMS = {
    "width": lambda: 0.7 * u.arcsec,
    "pixels": lambda: 3.5 * u.pix,
    "galsim": lambda: PROFILE,
    "image": _image,
    "big-endian": lambda: _image().astype(">f4"),
    "quantity": lambda: _image() * u.dimensionless_unscaled,
    "nddata": lambda: NDData(_image()),
    "masked": lambda: np.ma.MaskedArray(_image(), False),
    "kernel": lambda: CustomKernel(_image()),
    "photutils": lambda: ImagePSF(9 * _image(3, 33), oversampling=3),
    "mapping": lambda: {"r": PROFILE, "g": None},
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_are_the_same(profiles, table, options, stamps, form):
    psf = FORMS[form]()
    again = profiles.simulate(table, **{**options, "psf": psf})
    assert_allclose(again.data, stamps.data, atol=2e-3 * stamps.data.max())


def test_each_band_has_its_own(profiles, table, options, moments):
    psf = {"g": 1.2 * u.arcsec, "r": 0.7 * u.arcsec}
    both = profiles.simulate(table, bands=("g", "r"), **{**options, "psf": psf})
    red = profiles.simulate(table, **options)
    assert_array_equal(both.data[:, 1], red.data[:, 0])
    assert moments(both.data[3, 0]).size > 1.2 * moments(both.data[3, 1]).size
    with pytest.raises(ValueError, match=r"psf has no PSF for the bands \['i'\]"):
        profiles.simulate(table, bands=("g", "i"), **{**options, "psf": psf})


@pytest.mark.parametrize(
    "psf", [2.5 * _image(), PROFILE.withFlux(2.5), ImagePSF(2.5 * _image())], ids=str
)
def test_one_that_is_not_normalised_is_and_says_so(profiles, table, options, stamps, psf):
    with pytest.warns(AstrodlkitWarning, match=r"psf is normalised: its sum is 2\.[45]"):
        again = profiles.simulate(table, **{**options, "psf": psf})
    assert_allclose(again.data, stamps.data, atol=2e-3 * stamps.data.max())


def test_one_off_the_middle_says_so_and_moves_galaxies(profiles, table, options, moments):
    with pytest.warns(AstrodlkitWarning, match=r"the centroid of psf lies 1\.00, -?0\.00"):
        again = profiles.simulate(table, **{**options, "psf": _image(shift=(SCALE, 0))})
    assert abs(moments(again.data[3, 0]).x - 1) < 0.05


def test_an_origin_says_where_the_middle_is(profiles, table, options, stamps):
    image = _image(shift=(SCALE, 0))
    psf = ImagePSF(image, origin=(33, 32))
    again = profiles.simulate(table, **{**options, "psf": psf})
    assert_allclose(again.data, stamps.data, atol=2e-3 * stamps.data.max())


@pytest.mark.parametrize(
    "wrong",
    [
        (0.7, TypeError, r"psf must be a width with a unit \(0.7 \* u.arcsec\)"),
        (-0.7 * u.arcsec, ValueError, "psf must be a positive width"),
        (np.nan * u.arcsec, ValueError, "psf must be a positive width"),
        (0.7 * u.s, u.UnitConversionError, "psf must be a width in arcsec or pixels"),
        (np.zeros((9, 9)), ValueError, "finite with a positive sum"),
        (np.full((9, 9), np.nan), ValueError, "finite with a positive sum"),
        (np.ones((2, 9, 9)), TypeError, "psf must be a width"),
        (np.array([["a"]]), TypeError, "psf must be a width"),
        (galsim.Gaussian(sigma=1, flux=-1), ValueError, "psf must have a positive flux"),
        (ImagePSF(np.ones((9, 9)) / 9, oversampling=(1, 3)), ValueError, "one oversampling"),
        ("gaussian", TypeError, "psf must be a width"),
        (NDData(_image(), mask=_image() < 1e-5), ValueError, "psf has masked pixels"),
        (np.ma.masked_less(_image(), 1e-5), ValueError, "psf has masked pixels"),
        (CircularGaussianPRF(fwhm=3), TypeError, "psf cannot be a CircularGaussianPRF"),
        (Gaussian2D(), TypeError, "psf cannot be a Gaussian2D"),
    ],
)
def test_what_is_no_psf_is_refused(profiles, table, options, wrong):
    psf, error, message = wrong
    with pytest.raises(error, match=message):
        profiles.simulate(table, **{**options, "psf": psf})


def test_widths_are_those_at_half_maximum():
    (psf,) = read_psfs(0.7 * u.arcsec, ("r",), SCALE)
    assert abs(psf.width - np.hypot(3.5, 1)) < 1e-3
    (psf,) = read_psfs(_image(), ("r",), SCALE)
    assert abs(psf.width - np.hypot(3.5, 1)) < 0.1
    both = galsim.Gaussian(fwhm=1, flux=0.5) + galsim.Gaussian(fwhm=1, flux=0.5)
    (psf,) = read_psfs(both, ("r",), SCALE)
    assert abs(psf.width - np.hypot(5, 1)) < 0.1


def test_an_even_side_has_its_middle_between_pixels():
    image = _image()
    with pytest.warns(AstrodlkitWarning, match=r"lies 0\.5\d, 0\.5\d pixels"):
        read_psfs(image[:-1, :-1], ("r",), SCALE)
    even = _image(n=64)
    read_psfs(even, ("r",), SCALE)
