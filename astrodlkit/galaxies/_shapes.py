"""Size, shape and orientation of pictures of galaxies, many at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ellipses", "half_light_radii", "measure_ellipses"]

# Semi-major axis of the window, in radii that hold half of the light, and how often it is moved.
_REACH, _STEPS = 3.0, 6
# Thinner than any galaxy, and round: what moments of noise may not go beyond.
_THINNEST = 0.05


@dataclass(frozen=True)
class Ellipses:
    """
    Ellipses of n pictures.

    ``x``, ``y`` are the centres from the middle of the picture in pixels,
    ``axis_ratio`` is minor over major, ``angle`` of the major axis in radians,
    from +x to +y; all of shape (n,).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    axis_ratio: NDArray[np.float64]
    angle: NDArray[np.float64]


def _pixels(shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distances of pixels from the middle along x and y, flat."""
    ny, nx = shape[-2:]
    y, x = np.indices((ny, nx), dtype=np.float32).reshape(2, -1)
    return x - np.float32((nx - 1) / 2), y - np.float32((ny - 1) / 2)


def measure_ellipses(images: NDArray[np.float32]) -> Ellipses:
    """
    Second moments of pictures within an ellipse of their own shape.

    Of whatever has ellipses of one shape for isophotes, the window that has this
    shape too, and no other, gives it back whatever the profile: it is moved until
    it does (as Bernstein & Jarvis 2002, AJ, 123, 583, section 3.1, do with a
    Gaussian).

    Parameters
    ----------
    images : ndarray, shape (n, ny, nx)
        Pictures without sky.

    Returns
    -------
    ellipses : Ellipses
        NaN where a picture has no light.
    """
    x, y = _pixels(images.shape)
    flat = np.maximum(images.reshape(len(images), x.size), 0)
    # A circle first; its area is kept as it becomes an ellipse, as far as the picture goes.
    radius = _REACH * half_light_radii(images, np.sqrt(x * x + y * y))
    n, most = len(images), min(images.shape[-2:]) / 2 - 0.5
    powers = (np.ones_like(x), x, y, x * x, y * y, x * y)
    cx, cy, c2, s2 = (np.zeros(n) for _ in range(4))
    ratio = np.ones(n)
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(_STEPS):
            angle = np.arctan2(s2, c2) / 2
            major = np.minimum(radius / np.sqrt(ratio), most)
            c, s = np.cos(angle), np.sin(angle)
            along = _plane(c, s, -c * cx - s * cy, x, y)
            across = _plane(-s / ratio, c / ratio, (s * cx - c * cy) / ratio, x, y)
            distance = np.sqrt(along * along + across * across)
            light = flat * np.clip(_upright(major + 0.5) - distance, 0, 1)
            # One picture's at a time: no number depends on the pictures beside.
            total, *moments = (
                np.einsum("ij,j->i", light, power).astype(np.float64) for power in powers
            )
            cx, cy, xx, yy, xy = np.array(moments) / total
            xx, yy, xy = xx - cx**2, yy - cy**2, xy - cx * cy
            c2, s2 = xx - yy, 2 * xy
            extent = np.hypot(c2, s2)
            ratio = np.sqrt(np.clip((xx + yy - extent) / (xx + yy + extent), _THINNEST**2, 1))
    return Ellipses(cx, cy, ratio, np.arctan2(s2, c2) / 2)


def _plane(a: NDArray, b: NDArray, c: NDArray, x: NDArray, y: NDArray) -> NDArray[np.float32]:
    """Values a x + b y + c of pixels, (n, ny * nx)."""
    return _upright(a) * x + _upright(b) * y + _upright(c)


def _upright(numbers: NDArray) -> NDArray[np.float32]:
    return numbers.astype(np.float32)[:, None]


def half_light_radii(
    images: NDArray[np.float32], distances: NDArray[np.floating]
) -> NDArray[np.float64]:
    """
    Distance within which half of the light of each picture lies.

    Parameters
    ----------
    images : ndarray, shape (n, ny, nx)
        Pictures without sky.
    distances : ndarray, shape (n, ny * nx) or (ny * nx,)
        Of the pixels, in pixels or in any unit in which a pixel is about 1.

    Returns
    -------
    radii : ndarray, shape (n,)
        In the same unit; NaN where a picture has no light.
    """
    flat = images.reshape(len(images), images.shape[-2] * images.shape[-1])
    distances = np.broadcast_to(distances, flat.shape)
    # A pixel counts in part where the circle goes through it: in two bins that it lies across.
    bins = np.floor(distances + 0.5).astype(np.intp)
    beyond = (distances + 0.5 - bins).astype(np.float32)
    size = int(bins.max(initial=0)) + 2
    places = bins + size * np.arange(len(flat))[:, None]
    within = np.bincount(places.ravel(), (flat * (1 - beyond)).ravel(), len(flat) * size)
    within[1:] += np.bincount(places.ravel(), (flat * beyond).ravel(), len(flat) * size)[:-1]
    growth = within.reshape(len(flat), size).cumsum(axis=1)
    half = growth[:, -1:] / 2
    radii = np.full(len(flat), np.nan)
    for i in np.flatnonzero(np.isfinite(half[:, 0]) & (half[:, 0] > 0)):
        j = int(np.argmax(growth[i] >= half[i]))
        below = growth[i, j - 1] if j else 0.0
        # Light grows as the square of the radius more than as the radius.
        part = (half[i, 0] - below) / (growth[i, j] - below)
        low = max(j - 1, 0)
        radii[i] = np.sqrt(low**2 + part * (j**2 - low**2)) if j else 0.0
    return radii
