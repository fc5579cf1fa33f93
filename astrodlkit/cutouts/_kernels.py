"""
The calls of reproject.

Values and mask travel in one call, as leading dimensions, and so does what gives the
variance. Resampling is linear: with weights w (of sum 1) the variance is the sum of
w^2 times the variances. The squares are had without knowing the weights. In a comb only every
K-th pixel differs from 0, with K wider than the kernel; a resampled comb is then a single
weight, times what the pixel held, and can be squared.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.wcsapi import BaseLowLevelWCS
from numpy.typing import NDArray

from ._grids import shifted
from ._image import Image

__all__ = ["averaged", "resample_adaptive", "resample_exact", "resample_interp"]

# Numbers in the combs that one call takes.
_BUDGET = 4_000_000
# Of reproject_adaptive: the Gaussian's width, and the pixels it reaches over.
_WIDTH, _REACH = 1.3, 4

_Stamps = tuple[NDArray, NDArray, NDArray | None]


class _Place:
    """What astropy hands from one WCS to the other; a Quantity would copy each time."""

    def __init__(self, x: Any, y: Any = None) -> None:
        # astropy makes sure of the type by calling it once more.
        self.x: NDArray
        self.y: NDArray
        self.x, self.y = (x.x, x.y) if isinstance(x, _Place) else (x, y)


class _PixelMap(BaseLowLevelWCS):
    """
    A WCS whose world coordinates are the pixels of the boxes.

    ``places`` holds them for each pixel of the stamps; without it a pixel is its
    own place. ``guard`` pixels around the first are there too.
    """

    pixel_n_dim = world_n_dim = 2
    world_axis_units = ("pix", "pix")
    world_axis_physical_types = (None, None)
    world_axis_object_components = (("place", 0, "x"), ("place", 1, "y"))
    world_axis_object_classes: Any = {"place": (_Place, (), {})}  # noqa: RUF012

    def __init__(self, places: tuple[NDArray, NDArray] | None = None, guard: int = 0) -> None:
        self.places, self.guard = places, guard

    def pixel_to_world_values(self, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        if self.places is None:
            return x, y
        if x.size == self.places[0].size:
            return self.places[0].reshape(x.shape), self.places[1].reshape(x.shape)
        at = tuple(np.asarray(axis).astype(np.intp) + self.guard for axis in (y, x))
        return self.places[0][at], self.places[1][at]

    def world_to_pixel_values(self, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        return x, y


@dataclass(frozen=True)
class _Boxes:
    """Parts of an image, shape (b, height, width), and where they begin in it."""

    left: NDArray[np.intp]
    bottom: NDArray[np.intp]
    values: NDArray[np.float64]
    bad: NDArray[np.bool_]
    variance: NDArray[np.float64] | None

    def layers(self) -> list[NDArray]:
        """Values, and the bad pixels if there are any."""
        return [self.values, self.bad] if self.bad.any() else [self.values]


def averaged(array: NDArray, fine: int) -> NDArray:
    """Means over blocks of ``fine`` rows and columns, of an array of shape (b, ny, nx)."""
    if fine == 1:
        return array
    b, height, width = array.shape
    return array.reshape(b, height // fine, fine, width // fine, fine).mean(axis=(2, 4))


def resample_interp(image: Image, px: NDArray, py: NDArray, fine: int) -> _Stamps:
    """
    Resample stamps by bilinear interpolation, all in one call.

    Parameters
    ----------
    image : Image
        The parent.
    px, py : ndarray, shape (b, fine * ny + 2, fine * nx + 2)
        Where the places in the stamps' pixels, and one more around them, are in it.
    fine : int
        Places in each direction over which a pixel of the stamp is the average.

    Returns
    -------
    values, bad, variance : ndarray, shape (b, ny, nx)
        Values are NaN where the image's are; variance may be None.
    """
    from reproject import reproject_interp

    # Pixels of the image between the first and the last place of one pixel of a stamp.
    apart = int(np.ceil((fine - 1) * _spread(px, py).max()))
    # A bad pixel under the stamp's pixel may lie between those interpolated.
    grow = np.maximum(np.ceil(_spread(px, py) / 2 - 0.501), 0)
    grow = np.minimum(grow, max(image.shape)).astype(int)
    px, py = px[:, 1:-1, 1:-1], py[:, 1:-1, 1:-1]
    boxes = _read(image, px, py, margin=1 + grow.max(), grow=grow)
    n, height, width = boxes.values.shape
    x = np.clip(px - boxes.left[:, None, None], 0, width - 1)
    y = np.clip(py - boxes.bottom[:, None, None], 0, height - 1)
    y += np.arange(n)[:, None, None] * (height + 1)
    places = x.reshape(-1, x.shape[2]), y.reshape(-1, x.shape[2])

    def resampled(layers: list[NDArray]) -> NDArray:
        # One row more between the boxes of the stack: it is only ever met with weight 0.
        stack = np.zeros((len(layers), n, height + 1, width))
        stack[:, :, :-1] = layers
        out = reproject_interp(
            (stack.reshape(len(layers), -1, width), _PixelMap()),
            _PixelMap(places),
            shape_out=places[0].shape,
            roundtrip_coords=False,
            return_footprint=False,
        )
        return np.stack([averaged(layer.reshape(px.shape), fine) for layer in out])

    values, bad = _values_and_bad(resampled(boxes.layers()))
    if boxes.variance is None:
        return values, bad, None
    period = apart + 2
    combs = _combs(np.sqrt(boxes.variance), period, range(period))
    return values, bad, _sum_of_squares(resampled, combs, values, boxes.values.size)


def resample_adaptive(image: Image, px: NDArray, py: NDArray) -> _Stamps:
    """
    Resample one stamp with an anti-aliasing Gaussian kernel (DeForest 2004).

    The square of a Gaussian is a Gaussian. With weights w before they are made to
    sum to 1, the variance is ``sum(w^2 v) / sum(w^2)``, resampling with the narrower
    kernel, times ``sum(w^2) / sum(w)^2``, which any one pixel gives that both
    kernels see.

    Parameters
    ----------
    image : Image
        The parent.
    px, py : ndarray, shape (1, ny + 2, nx + 2)
        As of `resample_interp`.

    Returns
    -------
    values, bad, variance : ndarray, shape (1, ny, nx)
        As of `resample_interp`.
    """
    from reproject import reproject_adaptive

    # The kernel spans four pixels of the stamp, but never less than four of the image.
    period = int(_REACH * max(1.0, _spread(px, py)[0])) + 2
    boxes = _read(image, px, py, margin=period, grow=None)
    places = (px - boxes.left)[0], (py - boxes.bottom)[0]

    def resampled(layers: list[NDArray], kernel_width: float) -> NDArray:
        return reproject_adaptive(
            (np.array(layers, dtype=np.float64)[:, 0], _PixelMap()),
            _PixelMap(places, 1),
            shape_out=(px.shape[1] - 2, px.shape[2] - 2),
            kernel_width=kernel_width,
            sample_region_width=_REACH,
            boundary_mode="ignore",
            roundtrip_coords=False,
            return_footprint=False,
        )[:, None]

    layers = boxes.layers()
    if boxes.variance is None:
        return *_values_and_bad(resampled(layers, _WIDTH)), None
    # Nine combs: whatever the shape of a kernel, it meets a tooth of one of them.
    teeth = list(_combs(np.ones_like(boxes.variance), period, range(0, period, -(-period // 3))))
    wide = resampled(layers + teeth, _WIDTH)
    narrow = resampled([boxes.variance, *teeth], _WIDTH / np.sqrt(2))
    squares = (wide[len(layers) :] ** 2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = narrow[0] * squares / narrow[1:].sum(axis=0)
    return *_values_and_bad(wide[: len(layers)]), variance


def resample_exact(image: Image, px: NDArray, py: NDArray, wcs: WCS) -> _Stamps:
    """
    Resample one stamp by the exact overlap of pixels on the sphere.

    Parameters
    ----------
    image : Image
        The parent.
    px, py : ndarray, shape (1, ny + 2, nx + 2)
        As of `resample_interp`.
    wcs : `~astropy.wcs.WCS`
        That of the stamp.

    Returns
    -------
    values, bad, variance : ndarray, shape (1, ny, nx)
        As of `resample_interp`.
    """
    from reproject import reproject_exact

    boxes = _read(image, px, py, margin=2, grow=None)
    own = shifted(image.wcs, boxes.left[0], boxes.bottom[0])
    shape = px.shape[1] - 2, px.shape[2] - 2

    def resampled(layers: list[NDArray]) -> tuple[NDArray, NDArray]:
        planes = np.array(layers, dtype=np.float64)[:, 0]
        out, footprint = reproject_exact((planes, own), wcs, shape_out=shape)
        return out[:, None], footprint[:1]

    out, footprint = resampled(boxes.layers())
    values, bad = _values_and_bad(out)
    bad |= footprint < 1 - 1e-6
    if boxes.variance is None:
        return values, bad, None
    period = int(np.ceil(1.5 * _spread(px, py)[0])) + 2
    combs = _combs(np.sqrt(boxes.variance), period, range(period))
    variance = _sum_of_squares(lambda some: resampled(some)[0], combs, values, boxes.values.size)
    return values, bad, variance


def _sum_of_squares(
    resampled: Callable[[list[NDArray]], NDArray],
    combs: Iterator[NDArray],
    like: NDArray,
    size: int,
) -> NDArray:
    """The sum over resampled combs, each of ``size`` numbers, a bounded number at a time."""
    total = np.zeros_like(like)
    while some := list(islice(combs, max(1, _BUDGET // size))):
        total += (resampled(some) ** 2).sum(axis=0)
    return total


def _spread(px: NDArray, py: NDArray) -> NDArray[np.float64]:
    """Larger side of the box around a stamp's pixel, in pixels of the image, shape (b,)."""
    sides = []
    for place in (px, py):
        # The mapping is smooth: it varies most at an edge.
        rows, columns = ([0, k // 2, k - 1] for k in place.shape[1:])
        steps = np.diff(place[:, :, columns], axis=1), np.diff(place[:, rows], axis=2)
        sides.append(sum(np.nan_to_num(np.abs(step)).max(axis=(1, 2)) for step in steps))
    return np.maximum(*sides)


def _extent(place: NDArray, size: int, margin: int) -> tuple[NDArray, int]:
    """First pixel of each stamp's box along one axis, and the length common to all."""
    clipped = np.clip(np.nan_to_num(place, nan=0.0), 0, size - 1)
    low = np.floor(clipped.min(axis=(1, 2))).astype(int) - margin
    high = np.ceil(clipped.max(axis=(1, 2))).astype(int) + margin
    length = min(int((high - low).max()) + 1, size)
    return np.clip(low, 0, size - length), length


def _read(image: Image, px: NDArray, py: NDArray, *, margin: int, grow: NDArray | None) -> _Boxes:
    """The part of the image that each stamp needs."""
    (left, width), (bottom, height) = (
        _extent(place, size, margin) for place, size in ((px, image.shape[1]), (py, image.shape[0]))
    )

    def read(part: Callable[[Any], NDArray], dtype: type) -> NDArray:
        out: NDArray = np.empty((len(left), height, width), dtype=dtype)
        for i, (x, y) in enumerate(zip(left.tolist(), bottom.tolist(), strict=True)):
            out[i] = part((slice(y, y + height), slice(x, x + width)))
        return out

    values = read(image.values, np.float64)
    bad = ~np.isfinite(values)
    values[np.isinf(values)] = np.nan
    if image.mask is not None:
        bad |= read(image.mask.__getitem__, np.bool_)
    variance = None
    if image.uncertainty is not None:
        variance = read(image.variance, np.float64)
        lost = ~(np.isfinite(variance) & (variance >= 0))
        variance[lost] = 0
        bad |= lost
    if grow is not None and grow.any() and bad.any():
        from scipy.ndimage import maximum_filter

        for i in np.flatnonzero(grow):
            bad[i] = maximum_filter(bad[i], 2 * grow[i] + 1)
    return _Boxes(left, bottom, values, bad, variance)


def _combs(array: NDArray, period: int, starts: range) -> Iterator[NDArray]:
    """Copies of ``array`` of which only every ``period``-th row and column are kept."""
    for row in starts:
        for column in starts:
            comb = np.zeros_like(array)
            comb[:, row::period, column::period] = array[:, row::period, column::period]
            yield comb


def _values_and_bad(out: NDArray) -> tuple[NDArray, NDArray]:
    bad = ~np.isfinite(out[0])
    if len(out) > 1:
        # Not (... > 0): a NaN is bad too.
        bad |= ~(out[1] <= 0)
    return out[0], bad
