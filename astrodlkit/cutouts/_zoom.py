"""
Stamps that lie straight in their image: zoomed along one axis after the other.

Where the rows and columns of a stamp are those of the image, its pixels are products of what
the two axes give, and two sparse matrices do all stamps of a batch in all bands. A pixel is the
part of the image under it, where it is larger than the image's, and the image interpolated
linearly where it is smaller; at equal size the two are the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._image import Image

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Mapping", "Straight", "find_straight", "zoom"]

# From rows, and offsets from the middle of their stamps, to x and y in an image.
Mapping: TypeAlias = Callable[[NDArray, NDArray, NDArray], tuple[NDArray, NDArray]]

# Pixels, of the coarser of the two grids: by how much a stamp may be distorted; by how much its
# rows and columns may lie askew, which is then put right; and what is not worth that.
_DISTORTED, _ASKEW, _STRAIGHT = 1e-3, 0.05, 1e-4
# The weight with which a bad pixel counts: the last digits of a position must not decide.
_LEAST = 1e-6
# Where in a stamp that is looked at: its middle, the ends and halves of its axes, its corners.
_U = np.array([0, 1, -1, 0, 0, 0.5, -0.5, 0, 0, 1, 1, -1, -1])
_V = np.array([0, 0, 0, 1, -1, 0, 0, 0.5, -0.5, 1, -1, 1, -1])


@dataclass(frozen=True)
class Straight:
    """
    Where stamps lie in an image whose rows and columns are theirs.

    ``middle`` and ``step`` have shape (n, 2): x and y of the stamps' middles, and of the
    step from one pixel of a stamp to the next. ``skew``, shape (n, 2), is what x gains by row
    and y by column, because bands are never turned quite alike. ``holds``, shape (n,), says for
    which of the stamps all this is so.
    """

    middle: NDArray[np.float64]
    step: NDArray[np.float64]
    skew: NDArray[np.float64]
    holds: NDArray[np.bool_]

    def __getitem__(self, rows: NDArray | slice) -> "Straight":
        return Straight(self.middle[rows], self.step[rows], self.skew[rows], self.holds[rows])


def find_straight(to_pixel: Mapping, rows: NDArray[np.intp], shape: tuple[int, int]) -> Straight:
    """Where the stamps of some rows lie, and whether they are only shifted and scaled."""
    half_v, half_u = (k / 2 for k in shape)
    u, v = _U * half_u, _V * half_v
    x, y = to_pixel(rows, u, v)
    x0, y0 = x[:, :1], y[:, :1]
    (x_by_u, y_by_u), (x_by_v, y_by_v) = (
        [(p[:, [i]] - p[:, [i + 1]]) / (2 * half) for p in (x, y)]
        for i, half in ((1, half_u), (3, half_v))
    )
    off = np.maximum(
        np.abs(x - x0 - x_by_u * u - x_by_v * v).max(axis=1),
        np.abs(y - y0 - y_by_u * u - y_by_v * v).max(axis=1),
    )
    coarser = np.maximum(np.maximum(np.abs(x_by_u), np.abs(y_by_v))[:, 0], 1)
    skew = np.hstack([x_by_v, y_by_u])
    askew = np.abs(skew * [half_v, half_u]).max(axis=1)
    skew[askew < _STRAIGHT * coarser] = 0
    # A NaN does not hold.
    holds = (off < _DISTORTED * coarser) & (askew < _ASKEW * coarser)
    return Straight(np.hstack([x0, y0]), np.hstack([x_by_u, y_by_v]), skew, holds)


class _Axis:
    """Which pixels of an image, along one axis, the pixels of m stamps are made of."""

    def __init__(self, middle: NDArray, step: NDArray, n: int, size: int) -> None:
        at = middle[:, None] + step[:, None] * (np.arange(n) - (n - 1) / 2)
        # A stamp's pixel is never taken smaller than the image's: that is the interpolation.
        span = np.maximum(np.abs(step), 1)[:, None]
        self.inside = (at >= -0.5) & (at < size - 0.5)
        # Far from the image all places are the same.
        at = np.clip(at, -1 - span, size + span)
        reach = (span + 1) / 2
        first = np.ceil(at - reach).astype(np.intp)
        self.taps = first[..., None] + np.arange(int(np.ceil(span.max() + 1)))
        self._away = self.taps - at[..., None]
        self._overlap = reach[..., None] - np.abs(self._away)
        on_image = (self.taps >= 0) & (self.taps < size)
        # What lies off the image does not count.
        total = np.minimum(at + span / 2, size - 0.5) - np.maximum(at - span / 2, -0.5)
        self._share = on_image / np.where(total > 0, total, 1)[..., None]
        self.weights = np.clip(self._overlap, 0, 1) * self._share
        low = np.clip(self.taps[..., 0].min(axis=1), 0, size - 1)
        high = np.clip(self.taps[..., -1].max(axis=1), 0, size - 1)
        self.length = int((high - low).max()) + 1
        self.start = np.minimum(low, size - self.length)

    def slopes(self) -> NDArray[np.float64]:
        """How the weights grow as the stamp moves on."""
        partly = (self._overlap > 0) & (self._overlap < 1)
        return np.sign(self._away) * partly * self._share

    def matrix(self, weights: NDArray, dtype: np.dtype) -> "csr_array":
        """The weights, for the boxes of all stamps one after another."""
        from scipy.sparse import csr_array

        m, n, k = weights.shape
        # Taps without weight may lie outside.
        taps = np.clip(self.taps - self.start[:, None, None], 0, self.length - 1)
        taps += self.length * np.arange(m)[:, None, None]
        ends = np.arange(0, m * n * k + 1, k, dtype=np.int32)
        parts = weights.astype(dtype).ravel(), taps.astype(np.int32).ravel(), ends
        return csr_array(parts, shape=(m * n, m * self.length))


def zoom(
    images: Sequence[Image], straight: Straight, shape: tuple[int, int], *, flux: bool
) -> tuple[NDArray, NDArray, NDArray | None, NDArray | None]:
    """
    Zoom into images of one grid.

    Parameters
    ----------
    images : sequence of Image, length c
        Bands with the same pixels.
    straight : Straight
        Where the m stamps lie.
    shape : (ny, nx)
        Pixels of a stamp.
    flux : bool
        Whether sums are kept and not values.

    Returns
    -------
    inside : ndarray of bool, shape (m, ny, nx)
        Which pixels have their middle on the image.
    values : ndarray, shape (m, c, ny, nx)
        NaN where the image's are not finite.
    bad : ndarray of bool or None, shape (m, c, ny, nx)
        Where a bad pixel contributes; None if none does.
    variance : ndarray or None, shape (m, c, ny, nx)
        Of the values.
    """
    dtype = np.result_type(*(image.dtype for image in images))
    (x, y), (step_x, step_y) = straight.middle.T, straight.step.T
    columns = _Axis(x, step_x, shape[1], images[0].shape[1])
    rows = _Axis(y, step_y, shape[0], images[0].shape[0])
    values, bad, variance = _read(images, rows, columns, dtype)
    lost = ~np.isfinite(values)
    lost = lost if lost.any() else None
    if lost is not None:
        values[lost] = 0
        bad = lost if bad is None else bad | lost
    across, down = columns.matrix(columns.weights, dtype), rows.matrix(rows.weights, dtype)
    out = _through(down, across, values)
    if straight.skew.any():
        v, u = (np.arange(k) - (k - 1) / 2 for k in shape)
        x_more = (straight.skew[:, :1] * v).astype(dtype)[:, None, :, None]
        y_more = (straight.skew[:, 1:] * u).astype(dtype)[:, None, None]
        out += x_more * _through(down, columns.matrix(columns.slopes(), dtype), values)
        out += y_more * _through(rows.matrix(rows.slopes(), dtype), across, values)
    if lost is not None:
        out[_through(down, across, lost.astype(dtype)) > _LEAST] = np.nan
    if bad is not None:
        bad = _through(down, across, bad.astype(dtype)) > _LEAST
    if variance is not None:
        down, across = (axis.matrix(axis.weights**2, dtype) for axis in (rows, columns))
        variance = _through(down, across, variance)
    if flux:
        area = np.abs(step_x * step_y).astype(dtype)[:, None, None, None]
        out *= area
        variance = None if variance is None else variance * area**2
    inside = rows.inside[:, :, None] & columns.inside[:, None, :]
    return inside, out, bad, variance


def _read(
    images: Sequence[Image], rows: _Axis, columns: _Axis, dtype: np.dtype
) -> tuple[NDArray, NDArray | None, NDArray | None]:
    """Values, bad pixels (None if there are none) and variance, shape (m, height, c, width)."""
    shape = len(rows.start), rows.length, len(images), columns.length
    places = [
        (slice(y, y + rows.length), slice(x, x + columns.length))
        for y, x in zip(rows.start.tolist(), columns.start.tolist(), strict=True)
    ]
    values = np.empty(shape, dtype=dtype)
    bad = np.zeros(shape, dtype=bool)
    variance = None if images[0].uncertainty is None else np.empty(shape, dtype=dtype)
    # What is too large for a float32 is infinite, and bad.
    with np.errstate(over="ignore"):
        for k, image in enumerate(images):
            for i, box in enumerate(places):
                values[i, :, k] = image.values(box)
                if image.mask is not None:
                    bad[i, :, k] = image.mask[box]
                if variance is not None:
                    variance[i, :, k] = image.variance(box)
    if variance is not None:
        unknown = ~(np.isfinite(variance) & (variance >= 0))
        variance[unknown] = 0
        bad |= unknown
    return values, bad if bad.any() else None, variance


def _through(down: "csr_array", across: "csr_array", boxes: NDArray) -> NDArray:
    """Boxes of shape (m, height, c, width) as stamps, a view of shape (m, c, ny, nx)."""
    m, height, c, width = boxes.shape
    low = (down @ boxes.reshape(m * height, c * width)).reshape(m, -1, c, width)
    turned = np.ascontiguousarray(low.transpose(0, 3, 2, 1))
    out = across @ turned.reshape(m * width, -1)
    return out.reshape(m, -1, c, low.shape[1]).transpose(0, 2, 3, 1)
