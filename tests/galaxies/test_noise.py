"""Noise has the variance that the stamps say, and the variance that is asked for."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit.galaxies import NoiseModel

GAIN = 3 * u.electron / u.nJy


@pytest.fixture
def many():
    """Copies of a bright galaxy."""
    n = 200
    return QTable(
        {
            "flux": np.full(n, 500.0) * u.nJy,
            "half_light_radius": np.full(n, 0.5) * u.arcsec,
            "axis_ratio": np.full(n, 0.8),
            "position_angle": np.full(n, 30.0),
            "sersic_index": np.ones(n),
            "psf_fwhm": np.full(n, 0.2),
        }
    )


@pytest.mark.parametrize(
    "wanted",
    [
        (NoiseModel(background_rms=2 * u.nJy), 4.0, 0.0),
        (NoiseModel(background_rms=2 * u.nJy, gain=GAIN), 4.0, 1 / 3),
        (NoiseModel(sky_level=6 * u.nJy, gain=GAIN), 2.0, 1 / 3),
        (NoiseModel(sky_level=150 * u.nJy / u.arcsec**2, gain=GAIN), 2.0, 1 / 3),
        (NoiseModel(sky_level=6 * u.nJy, gain=GAIN, read_noise=3 * u.electron), 3.0, 1 / 3),
        (NoiseModel(sky_level=6 * u.nJy, gain=3 / u.nJy, read_noise=3 * u.electron), 3.0, 1 / 3),
    ],
)
def test_variance(profiles, many, options, wanted):
    noise, background, counted = wanted
    clean = profiles.simulate(many, **options)
    assert clean.variance is None
    stamps = profiles.simulate(many, noise=noise, **options)
    expected = background + counted * clean.data
    assert_allclose(stamps.variance, expected, rtol=2e-3)
    scatter = stamps.data - clean.data
    # 200 galaxies and 2304 pixels of which each has the noise of its own.
    assert abs((scatter**2 / stamps.variance).mean() - 1) < 5 * np.sqrt(3 / scatter.size)
    assert abs(scatter.mean()) < 5 * np.sqrt(stamps.variance.mean() / scatter.size)
    middle = (scatter**2 / stamps.variance)[:, :, 22:26, 22:26]
    assert abs(middle.mean() - 1) < 5 * np.sqrt(3 / middle.size)


def test_noise_is_of_the_row_and_not_of_the_galaxy(profiles, many, options):
    noise = NoiseModel(background_rms=2 * u.nJy)
    stamps = profiles.simulate(many, noise=noise, **options)
    assert np.abs(stamps.data[0] - stamps.data[1]).max() > 1
    parts = profiles.stream(many, batch_size=70, noise=noise, **options)
    assert_array_equal(np.concatenate([part.data for part in parts]), stamps.data)
    clean = profiles.simulate(many, **options)
    later = profiles.simulate(many, noise=noise, **options).data - clean.data
    other = profiles.simulate(many, noise=noise, **{**options, "rng": 4}).data - clean.data
    assert abs(np.corrcoef(later.ravel(), other.ravel())[0, 1]) < 0.01


def test_each_band_has_its_own(profiles, many, options):
    noise = NoiseModel(background_rms=[1, 3] * u.nJy)
    stamps = profiles.simulate(many[:1], noise=noise, bands=("g", "r"), **options)
    assert_allclose(stamps.variance[0, 0], 1)
    assert_allclose(stamps.variance[0, 1], 9)
    with pytest.raises(ValueError, match="background_rms must be one number or 1"):
        profiles.simulate(many[:1], noise=noise, **options)


def test_of_a_row_that_is_not_drawn_nothing_is_known(profiles, many, options):
    many["flux"][1] = -1 * u.nJy
    stamps = profiles.simulate(many[:3], noise=NoiseModel(background_rms=1 * u.nJy), **options)
    assert np.isinf(stamps.variance[1]).all()


def test_more_light_than_can_be_counted(profiles, many, options):
    many["flux"][0] = 1e25 * u.nJy
    stamps = profiles.simulate(
        many[:1], noise=NoiseModel(sky_level=6 * u.nJy, gain=GAIN), **options
    )
    assert np.isfinite(stamps.variance).all()
    assert stamps.data.sum() > 1e24


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "give sky_level"),
        ({"background_rms": 1.0}, TypeError, "background_rms=1.0 has no unit"),
        ({"background_rms": -1 * u.nJy}, ValueError, "background_rms must be positive"),
        ({"background_rms": np.nan * u.nJy}, ValueError, "background_rms must be positive"),
        ({"sky_level": 1 * u.nJy}, ValueError, "sky_level needs gain"),
        ({"sky_level": 1 * u.nJy, "gain": 0 / u.nJy}, ValueError, "gain must be positive"),
        (
            {"sky_level": 1 * u.nJy, "gain": GAIN, "background_rms": 1 * u.nJy},
            ValueError,
            "one of the two",
        ),
        (
            {"background_rms": 1 * u.nJy, "read_noise": 1 * u.electron},
            ValueError,
            "read_noise goes with sky_level",
        ),
    ],
)
def test_what_is_no_noise_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        NoiseModel(**arguments)


def test_noise_in_another_unit_is_refused(profiles, many, options):
    with pytest.raises(u.UnitConversionError, match="background_rms must have a unit like nJy"):
        profiles.simulate(many, noise=NoiseModel(background_rms=1 * u.adu), **options)
    with pytest.raises(TypeError, match="noise must be a NoiseModel or None, got 3"):
        profiles.simulate(many, noise=3, **options)
