"""What holds for any image and any positions."""

import numpy as np
from astropy import units as u
from astropy.nddata import NDData, StdDevUncertainty
from astropy.table import QTable, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag, extract_cutouts
from astrodlkit.cutouts import Cutouts, iter_cutouts

SHAPE = (14, 17)
few = settings(max_examples=60, deadline=None)

dtypes = st.sampled_from(["u1", "i2", "u2", "i4", "i8", "f2", "f4", "f8"])
orders = st.sampled_from("<>")
units = st.sampled_from([None, u.nJy, u.adu, u.nmgy / u.arcsec**2])
sizes = st.one_of(st.integers(1, 9), st.tuples(st.integers(1, 9), st.integers(1, 30)))
places = st.floats(-25, 40).map(lambda place: round(place, 2)) | st.sampled_from(
    [np.nan, np.inf, 1e12, -0.5, 16.5, 8.0]
)
rows = st.lists(st.tuples(places, places), max_size=6)


@st.composite
def images(draw):
    """An image of any kind, with its values and mask as plain arrays."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    dtype = np.dtype(draw(orders) + draw(dtypes))
    stored = (rng.normal(100, 20, SHAPE)).astype(dtype)
    if dtype.kind == "f" and draw(st.booleans()):
        stored[rng.random(SHAPE) < 0.1] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    mask = rng.random(SHAPE) < draw(st.sampled_from([0, 0.2, 1]))
    stored.flags.writeable = draw(st.booleans())
    sigma = rng.uniform(1, 2, SHAPE) if draw(st.booleans()) else None
    image = NDData(
        stored,
        unit=draw(units),
        mask=mask if draw(st.booleans()) or mask.any() else None,
        uncertainty=None if sigma is None else StdDevUncertainty(sigma),
    )
    return image, stored.astype(np.float64), mask, sigma


def _table(positions, kind):
    x, y = np.array(positions, dtype=float).reshape(-1, 2).T
    return kind({"x_centroid": x, "y_centroid": y})


@few
@given(images(), rows, sizes, st.sampled_from([Table, QTable, dict]), st.floats(-5, 5, width=16))
def test_native_stamps(image, positions, size, kind, fill):
    data, values, mask, sigma = image
    cutouts = extract_cutouts(data, _table(positions, kind), size, fill_value=fill)
    ny, nx = np.broadcast_to(size, 2)
    assert cutouts.shape == (len(positions), 1, ny, nx)
    assert cutouts.unit == data.unit
    assert cutouts.data.dtype == (
        np.float64 if data.data.dtype.itemsize == 8 and data.data.dtype.kind == "f" else np.float32
    )
    assert cutouts.data.dtype.isnative
    assert np.isfinite(cutouts.data).all()
    # An image with a border, wide enough for every stamp: off it, all is masked.
    border = ((60, 60), (60, 60))
    good = np.pad(np.isfinite(values), border)
    wide = np.pad(np.where(np.isfinite(values), values, fill), border, constant_values=fill)
    bad = np.pad(mask | ~np.isfinite(values), border, constant_values=True)
    on = np.pad(np.ones(SHAPE, dtype=bool), border)
    for i, (x, y) in enumerate(positions):
        flags = Flag(int(cutouts.flags[i]))
        if not np.isfinite([x, y]).all():
            assert Flag.INVALID_POSITION in flags
            assert cutouts.mask[i].all()
            continue
        x0, y0 = (np.ceil(np.clip(p, -100, 100) - n / 2) for p, n in ((x, nx), (y, ny)))
        if not (-55 <= x0 < 70 and -55 <= y0 < 70):
            assert Flag.NO_OVERLAP in flags
            continue
        box = slice(int(y0) + 60, int(y0) + 60 + ny), slice(int(x0) + 60, int(x0) + 60 + nx)
        assert_allclose(cutouts.data[i, 0], wide[box], rtol=1e-6)
        assert_array_equal(cutouts.mask[i, 0], bad[box])
        assert (Flag.NO_OVERLAP in flags) == (not on[box].any())
        assert (Flag.PARTIAL_OVERLAP in flags) == (on[box].any() and not on[box].all())
        assert (Flag.MASKED_PIXELS in flags) == bad[box].any()
        assert (Flag.ALL_MASKED in flags) == bad[box].all()
        assert (Flag.NON_FINITE in flags) == (on[box] & ~good[box]).any()
        if sigma is not None:
            expected = np.where(good, np.pad(sigma, border) ** 2, np.inf)[box]
            assert_allclose(cutouts.variance[i, 0], expected, rtol=1e-6)


@few
@given(images(), rows, st.integers(1, 6), st.integers(1, 4), st.floats(0.5, 30))
def test_resampled_stamps(image, positions, n, chunk, width):
    data, values, mask, sigma = image
    table = _table(positions, Table)
    size = np.full(len(positions), width)
    cutouts = extract_cutouts(data, table, size, shape=n)
    assert cutouts.shape == (len(positions), 1, n, n)
    assert np.isfinite(cutouts.data).all()
    finite = values[np.isfinite(values)]
    inside = ~cutouts.mask
    if inside.any():
        # Interpolation makes nothing brighter.
        tolerance = 1e-5 * np.abs(finite).max()
        assert cutouts.data[inside].min() >= finite.min() - tolerance
        assert cutouts.data[inside].max() <= finite.max() + tolerance
        assert not mask.all()
        if sigma is not None:
            assert (cutouts.variance[inside] <= 4.001).all()
            assert (cutouts.variance[inside] > 0).all()
    # Row by row the same.
    parts = iter_cutouts(data, table, width, shape=n, chunk=chunk)
    joined = Cutouts.concatenate(list(parts))
    assert_allclose(joined.data, cutouts.data, atol=1e-9)
    assert_array_equal(joined.mask, cutouts.mask)
    assert_array_equal(joined.flags, cutouts.flags)


@few
@given(images(), rows, sizes)
def test_tables_lose_nothing(image, positions, size):
    cutouts = extract_cutouts(image[0], _table(positions, dict), size)
    again = Cutouts.from_table(cutouts.to_table())
    for name in ("data", "mask", "flags"):
        assert_array_equal(getattr(again, name), getattr(cutouts, name))
    assert again.unit == cutouts.unit
    if cutouts.variance is not None:
        assert_array_equal(again.variance, cutouts.variance)
