"""LuptonStretch and Picture."""

import json

import numpy as np
import pytest
from astropy.visualization import make_lupton_rgb
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit.specs import LuptonStretch, Picture

POSITIVE = st.floats(0.01, 100)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "stretch",
    [
        LuptonStretch(stretch=0.5, Q=5.0, scales=(0.8, 1.0, 1.5)),
        LuptonStretch(stretch=0.8, Q=6.0, minimum=0.1, scales=(0.7, 1.0, 1.6)),
        LuptonStretch(stretch=3e-9, Q=8.0, minimum=-1e-10),
    ],
)
def test_same_as_astropy_stamp_by_stamp(dtype, stretch):
    rng = np.random.default_rng(0)
    values = rng.normal(0.1, 0.3, (8, 3, 50, 70)) * rng.lognormal(0, 2, (8, 1, 1, 1))
    values = (values * stretch.stretch).astype(dtype)
    given = values.copy()
    pictures = stretch.apply(values)
    assert pictures.dtype == np.float32
    assert_array_equal(values, given)
    for stamp, picture in zip(values, pictures, strict=True):
        bands = [
            band.astype(float) * scale for band, scale in zip(stamp, stretch.scales, strict=True)
        ]
        wanted = make_lupton_rgb(
            *bands, minimum=stretch.minimum, stretch=stretch.stretch, Q=stretch.Q
        )
        levels = np.moveaxis(picture * 255, 0, 2)
        assert_allclose(levels, np.round(levels), atol=1e-4)
        differ = np.round(levels) != wanted
        # Single precision: a level that is nearly a whole number, or light that is nearly none.
        assert differ.mean() < 1e-4
        dark = np.abs(sum(bands) - 3 * stretch.minimum) < 1e-4 * sum(np.abs(b) for b in bands)
        assert np.abs(np.round(levels) - wanted)[~dark].max() <= 1


def test_whatever_is_finite_has_a_picture():
    large = np.finfo(np.float64).max
    values = np.array([-large, -1e38, -1e-320, 0, 1e-320, 1e38, large])
    red, green, blue = np.meshgrid(values, values, values)
    cube = np.stack([red, green, blue]).reshape(1, 3, 7, 49)
    for stretch in (LuptonStretch(stretch=1e-3, Q=8.0), LuptonStretch(stretch=1e9, Q=8.0)):
        pictures = stretch.apply(cube)
        assert ((pictures >= 0) & (pictures <= 1)).all()
        assert_array_equal(pictures[0, :, -1, -1], 1)
        assert_array_equal(pictures[0, :, 3, 24], 0)


def test_no_rows():
    assert LuptonStretch(stretch=1.0, Q=8.0).apply(np.zeros((0, 3, 4, 4))).shape == (0, 3, 4, 4)


@given(stretch=POSITIVE, q=st.floats(0.5, 50), level=st.floats(0.05, 0.95))
def test_inverse(stretch, q, level):
    lupton = LuptonStretch(stretch=stretch, Q=q, minimum=0.3)
    grey = np.full((1, 3, 1, 1), lupton.inverse(level))
    # A picture has steps of 1/255, and astropy rounds down.
    assert_allclose(lupton.apply(grey), level, atol=1.5 / 255)


@given(
    lupton=st.builds(
        LuptonStretch,
        stretch=POSITIVE,
        Q=POSITIVE,
        minimum=st.floats(-1, 1),
        scales=st.tuples(POSITIVE, POSITIVE, POSITIVE),
    )
)
def test_json_round_trip(lupton):
    assert LuptonStretch.from_dict(json.loads(json.dumps(lupton.to_dict()))) == lupton


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stretch": 0, "Q": 8}, "stretch and Q must be positive, got stretch=0, Q=8"),
        ({"stretch": 1, "Q": -2}, "stretch and Q must be positive, got stretch=1, Q=-2"),
        ({"stretch": 1, "Q": 8, "scales": (1, 2)}, "scales must be three positive factors"),
        ({"stretch": 1, "Q": 8, "scales": (1, 2, 0)}, "scales must be three positive factors"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        LuptonStretch(**options)


def test_picture():
    assert_allclose(
        Picture(white=255).apply(np.array([-1, 0, 51, 300.0]).reshape(1, 1, 1, 4)).ravel(),
        [0, 0, 0.2, 1],
    )
    with pytest.raises(ValueError, match="white must be positive, got 0"):
        Picture(white=0)


def test_unknown_key():
    with pytest.raises(ValueError, match=r"Picture has unknown keys \['black'\]"):
        Picture.from_dict({"black": 1})
    with pytest.raises(ValueError, match=r"lacks \['Q', 'stretch'\]"):
        LuptonStretch.from_dict({})
    with pytest.raises(ValueError, match="LuptonStretch needs a dict, got list"):
        LuptonStretch.from_dict([])
