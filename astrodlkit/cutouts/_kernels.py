"""
The calls of reproject.

Three things travel in one call as leading dimensions: the values, the mask, and what gives
the variance. Resampling is linear, so the variance of a pixel is the sum of the squared
weights times the variances. The squares are had without knowing the weights: if only every
K-th pixel keeps its standard deviation and the others are 0, with K wider than the kernel,
the result is one weight times one standard deviation, and K^2 such combs see every pixel once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from astropy import units as u
from astropy.wcs import WCS
from astropy.wcs.wcsapi import BaseLowLevelWCS
from numpy.typing import NDArray

from ._grids import shifted
from ._images import Image

__all__ = ["reproject_box", "reproject_stack"]

_Planes = tuple[NDArray, NDArray, NDArray | None]


class _PixelMap(BaseLowLevelWCS):
    """
    A WCS whose world coordinates are the pixels of the stacked images.

    ``places`` holds them for each pixel of the stamps; without it a pixel is its
    own place. ``guard`` pixels around the first are there too.
    """

    pixel_n_dim = world_n_dim = 2
    world_axis_units = ("pix", "pix")
    world_axis_physical_types = (None, None)
    world_axis_object_components = (("x", 0, "value"), ("y", 0, "value"))
    world_axis_object_classes = {  # noqa: RUF012
        axis: (u.Quantity, (), {"unit": u.pix}) for axis in "xy"
    }

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


def reproject_stack(image: Image, px: NDArray, py: NDArray, method: str) -> _Planes:
    """
    Resample stamps by interpolation or adaptively, all in one call.

    Parameters
    ----------
    image : Image
        The parent.
    px, py : ndarray, shape (b, ny + 2, nx + 2)
        Where the pixels of the stamps, and of one more around them, are in it.
    method : {'interp', 'adaptive'}
        Which function; the second takes stamps one by one.

    Returns
    -------
    values, bad, variance : ndarray, shape (b, ny, nx)
        Values are NaN where the image's are; variance may be None.
    """
    from reproject import reproject_adaptive, reproject_interp

    adaptive = method == "adaptive"
    spread = _spread(px, py)
    if adaptive:
        # Four pixels of the stamp, but never less than four of the image.
        comb = int(4 * max(1.0, spread.max())) + 2
        grow = np.zeros(len(spread), dtype=int)
    else:
        comb = 2
        # A bad pixel under the stamp's pixel may lie between those interpolated.
        grow = np.maximum(np.ceil(spread / 2 - 0.501), 0).astype(int)
        px, py = px[:, 1:-1, 1:-1], py[:, 1:-1, 1:-1]
    margin = comb if adaptive else 1 + grow.max()
    (left, width), (bottom, height) = (
        _extent(place, size, margin)
        for place, size in zip((px, py), image.shape[::-1], strict=True)
    )
    planes = _planes(image, left, bottom, (height, width), comb, off_is_bad=adaptive, grow=grow)
    ny, nx = px.shape[1:]
    places = (
        (px - left[:, None, None]).reshape(-1, nx),
        (py - (bottom - np.arange(len(bottom)) * height)[:, None, None]).reshape(-1, nx),
    )
    if adaptive:
        out = reproject_adaptive(
            (planes, _PixelMap()), _PixelMap(places, 1), shape_out=(ny - 2, nx - 2),
            roundtrip_coords=False, return_footprint=False,
        )[:, None]  # fmt: skip
    else:
        # Outside the image only the shape counts, but not in the next stamp's box.
        np.clip(places[0], 0, width - 1, out=places[0])
        floor = np.repeat(np.arange(len(bottom)) * height, ny)[:, None]
        np.clip(places[1], floor, floor + height - 1, out=places[1])
        out = reproject_interp(
            (planes, _PixelMap()), _PixelMap(places), shape_out=places[0].shape,
            roundtrip_coords=False, return_footprint=False,
        ).reshape(len(planes), -1, ny, nx)  # fmt: skip
    return _collect(out, image, comb)


def reproject_box(image: Image, px: NDArray, py: NDArray, wcs: WCS) -> _Planes:
    """
    Resample one stamp by the exact overlap of pixels on the sphere.

    Parameters
    ----------
    image : Image
        The parent.
    px, py : ndarray, shape (1, ny + 2, nx + 2)
        Where the pixels of the stamp are in it.
    wcs : `~astropy.wcs.WCS`
        That of the stamp.

    Returns
    -------
    values, bad, variance : ndarray, shape (1, ny, nx)
        As of `reproject_stack`.
    """
    from reproject import reproject_exact

    comb = int(np.ceil(1.5 * _spread(px, py)[0])) + 2
    boxes = []
    for place, size in zip((px, py), image.shape[::-1], strict=True):
        low, length = _extent(place, size, 2)
        boxes.append((max(low[0], 0), min(low[0] + length, size)))
    (left, right), (bottom, top) = boxes
    planes = _planes(
        image, np.array([left]), np.array([bottom]), (top - bottom, right - left), comb,
        off_is_bad=True, grow=np.zeros(1, dtype=int),
    )  # fmt: skip
    shape = px.shape[1] - 2, px.shape[2] - 2
    out, footprint = reproject_exact(
        (planes, shifted(image.wcs, left, bottom)), wcs, shape_out=shape
    )
    values, bad, variance = _collect(out[:, None], image, comb)
    return values, bad | (footprint[:1] < 1 - 1e-6), variance


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
    return low, int((high - low).max()) + 1


def _planes(
    image: Image,
    left: NDArray,
    bottom: NDArray,
    box: tuple[int, int],
    comb: int,
    *,
    off_is_bad: bool,
    grow: NDArray,
) -> NDArray[np.float64]:
    """Values, bad pixels (if any) and combs of deviations, shape (p, b * box[0], box[1])."""
    n = len(left)

    def read(part: Callable[[Any], NDArray], out: NDArray) -> NDArray:
        for i in range(n):
            _read_box(part, out[i], left[i], bottom[i], image.shape)
        return out

    values = read(image.values, np.empty((n, *box)))
    bad = ~np.isfinite(values)
    values[np.isinf(values)] = np.nan
    if image.mask is not None:
        bad |= read(lambda where: image.mask[where], np.empty((n, *box), dtype=bool))
    sigma = None
    if image.uncertainty is not None:
        with np.errstate(invalid="ignore"):
            sigma = np.sqrt(read(image.variance, np.empty((n, *box))))
        lost = ~np.isfinite(sigma)
        sigma[lost] = 0
        bad |= lost
    if off_is_bad:
        height, width = image.shape
        x = left[:, None] + np.arange(box[1])
        y = bottom[:, None] + np.arange(box[0])
        bad |= ~((x >= 0) & (x < width))[:, None] | ~((y >= 0) & (y < height))[:, :, None]
    if bad.any() and grow.any():
        from scipy.ndimage import maximum_filter

        for i in np.flatnonzero(grow):
            bad[i] = maximum_filter(bad[i], 2 * grow[i] + 1)
    planes = [values, bad] if bad.any() else [values]
    if sigma is not None:
        for row in range(comb):
            for column in range(comb):
                plane = np.zeros_like(sigma)
                plane[:, row::comb, column::comb] = sigma[:, row::comb, column::comb]
                planes.append(plane)
    return np.array(planes, dtype=np.float64).reshape(len(planes), -1, box[1])


def _read_box(
    part: Callable[[Any], NDArray], out: NDArray, left: int, bottom: int, shape: tuple[int, int]
) -> None:
    """Fill a box with part of an image, and with the image's edge outside it."""
    (y0, y1), (x0, x1) = (
        (max(first, 0), min(first + length, size))
        for first, length, size in zip((bottom, left), out.shape, shape, strict=True)
    )
    columns = slice(x0 - left, x1 - left)
    out[y0 - bottom : y1 - bottom, columns] = part((slice(y0, y1), slice(x0, x1)))
    out[: y0 - bottom, columns] = out[y0 - bottom, columns]
    out[y1 - bottom :, columns] = out[y1 - bottom - 1, columns]
    out[:, : columns.start] = out[:, columns.start, None]
    out[:, columns.stop :] = out[:, columns.stop - 1, None]


def _collect(out: NDArray, image: Image, comb: int) -> _Planes:
    """Values, bad pixels and variance out of resampled planes."""
    combs = 0 if image.uncertainty is None else comb**2
    variance = (out[-combs:] ** 2).sum(axis=0) if combs else None
    bad = ~np.isfinite(out[0])
    if len(out) > 1 + combs:
        # Not (... > 0): a NaN is bad too.
        bad |= ~(out[1] <= 0)
    return out[0], bad, variance
