"""The stretch of radio stamps."""

import numpy as np
import pytest

from astrodlkit import Cutouts
from astrodlkit.specs import InputSpec, PeakStretch


def stamp(rng, flux=1.0):
    values = rng.normal(0, 0.01, (1, 1, 64, 64))
    values[0, 0, 30:34, 20:44] += 1.0
    return flux * values


def test_noise_is_black_and_the_peak_white():
    picture = PeakStretch().apply(stamp(np.random.default_rng(1)))
    assert picture.max() == 1
    outside = np.delete(picture[0, 0], range(30, 34), axis=0)
    assert 0 < (outside > 0).mean() < 0.005  # 0.00135 of a normal distribution is above 3 sigma


def test_the_unit_does_not_matter():
    one = PeakStretch().apply(stamp(np.random.default_rng(1)))
    other = PeakStretch().apply(stamp(np.random.default_rng(1), flux=1e-6))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_finished_pictures_only_get_the_power():
    picture = np.zeros((1, 1, 16, 16))
    picture[0, 0, 8, 4:8] = 16, 64, 128, 255
    seen = PeakStretch(threshold=3, power=0.5).apply(picture)[0, 0, 8, 4:8]
    np.testing.assert_allclose(seen, np.sqrt(np.array([16, 64, 128, 255]) / 255), rtol=1e-6)


def test_blank_stamps_stay_blank():
    assert not PeakStretch().apply(np.full((2, 3, 8, 8), 4.0)).any()
    assert PeakStretch().apply(np.empty((0, 3, 8, 8))).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("wrong", [{"threshold": -1}, {"threshold": np.nan}, {"power": 0}])
def test_wrong_parameters(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PeakStretch(**wrong)


def test_spec_with_a_peak_stretch():
    spec = InputSpec(
        bands=("1.4 GHz",) * 3,
        shape=(64, 64),
        mean=(0.1,) * 3,
        std=(0.2,) * 3,
        stretch=PeakStretch(threshold=4.0),
        pixel_scale=1.8,
    )
    assert InputSpec.from_dict(spec.to_dict()) == spec
    values = stamp(np.random.default_rng(1))
    for unit in (None, "Jy / beam"):
        images, flags = spec.prepare(Cutouts(values, unit=unit, bands=("L",)))
        expected = (PeakStretch(threshold=4.0).apply(values) - 0.1) / 0.2
        np.testing.assert_allclose(images, np.repeat(expected, 3, axis=1), atol=1e-5)
        assert flags[0] == 0


@pytest.mark.parametrize(
    "wrong", [{"pixel_scale": 0.0}, {"width": -1.0}, {"pixel_scale": 1.8, "width": 4.0}]
)
def test_spec_refuses(wrong):
    with pytest.raises(ValueError, match=r"pixel_scale|width"):
        InputSpec(
            bands=("a",) * 3,
            shape=(8, 8),
            mean=(0.1,) * 3,
            std=(0.2,) * 3,
            stretch=PeakStretch(),
            **wrong,
        )
