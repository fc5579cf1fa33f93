"""
Stamps, filled with resampled pixels.

What lies straight in an image is zoomed, and the rest goes to reproject. A call of reproject
costs about a millisecond before it looks at a pixel, most of it in coordinates. Here the
coordinates of all stamps are found first, and reproject is given many stamps stacked in one
tall image, with a WCS that looks the coordinates up.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

from ._image import Image
from ._kernels import averaged, resample_adaptive, resample_exact, resample_interp
from ._zoom import Mapping, find_straight, zoom

__all__ = ["Stamps"]

# Nodes in each direction at which the mapping of a stamp is exact; a polynomial goes through.
_NODES = 7
# Pixels by which that polynomial may be wrong before every pixel is transformed.
_TOLERANCE = 1e-4
# Pixels of the parent that are stacked in one call of reproject, and in one that zooms, where
# they had better stay in the processor's cache.
_BUDGET, _CACHED = 500_000, 500_000
# Interpolated places by pixel of a stamp and axis, at most, when it is averaged over them; the
# pixels of a stamp may be larger than those of the image by a little before it is.
_FINEST, _SAME_SIZE = 16, 0.05


class Stamps:
    """
    The stamps of n rows in c bands.

    Parameters
    ----------
    images : sequence of Image, length c
        The bands.
    n : int
        Number of rows.
    shape : (ny, nx)
        Pixels of a stamp.
    fill_value : float
        Value of pixels off the image.
    method : {'interp', 'adaptive', 'exact'}
        As of `extract_cutouts`.
    flux : bool
        Whether sums are kept and not values.
    grid : TangentGrid or None
        The stamps' WCS, which ``'exact'`` needs.
    """

    def __init__(
        self,
        images: Sequence[Image],
        n: int,
        shape: tuple[int, int],
        fill_value: float,
        *,
        method: str,
        flux: bool,
        grid: Any,
    ) -> None:
        self.images, self.shape, self.fill_value = images, shape, fill_value
        self.method, self.flux, self.grid = method, flux, grid
        dtype = np.result_type(*(image.dtype for image in images))
        self.data = np.empty((n, len(images), *shape), dtype)
        self.mask = np.zeros(self.data.shape, dtype=bool)
        self.variance = None if images[0].uncertainty is None else np.empty_like(self.data)
        # 0: wholly on the image, 1: partly, 2: not at all.
        self.overlap = np.full((n, len(images)), 2, dtype=np.int8)

    def make(
        self, bands: Sequence[int], rows: NDArray[np.intp], to_pixel: Mapping, coarser: NDArray
    ) -> None:
        """
        Make stamps of bands with the same pixels.

        Parameters
        ----------
        bands : sequence of int
            Which bands.
        rows : ndarray of int, shape (m,)
            Which rows, by increasing ``coarser``.
        to_pixel : callable
            From offsets in the rows' stamps to pixels of the bands.
        coarser : ndarray, shape (n,)
            Pixels of the bands by pixel of a stamp.
        """
        if self.method != "interp":
            self._turn(bands, rows, to_pixel, coarser, 1)
            return
        straight = find_straight(to_pixel, rows, self.shape)
        zoomed, rows = rows[straight.holds], rows[~straight.holds]
        straight = straight[straight.holds]
        images = [self.images[k] for k in bands]
        for part in _batches(coarser[zoomed], self.shape, _CACHED // len(bands)):
            inside, *layers = zoom(images, straight[part], self.shape, flux=self.flux)
            for j, k in enumerate(bands):
                layer: Any = (None if some is None else some[:, j] for some in layers)
                self._put((zoomed[part], k), inside, *layer)
        fine = np.clip(np.ceil(coarser[rows] - _SAME_SIZE), 1, _FINEST).astype(int)
        for f in np.unique(fine).tolist():
            self._turn(bands, rows[fine == f], to_pixel, coarser, f)

    def _turn(
        self,
        bands: Sequence[int],
        rows: NDArray[np.intp],
        to_pixel: Mapping,
        coarser: NDArray,
        fine: int,
    ) -> None:
        """Let reproject make stamps, by ``'interp'`` as averages over ``fine**2`` places."""
        image = self.images[bands[0]]
        budget = _BUDGET if self.method == "interp" else 0
        for part in _batches(coarser[rows], self.shape, budget):
            px, py = _coordinates(to_pixel, rows[part], self.shape, fine)
            inside = image.contains(*(averaged(p[:, 1:-1, 1:-1], fine) for p in (px, py)))
            some = inside.any(axis=(1, 2))
            if not some.any():
                continue
            batch, px, py, inside = rows[part][some], px[some], py[some], inside[some]
            area = averaged(_pixel_area(px, py), fine) * fine**2 if self.flux else 1.0
            for k in bands:
                values, bad, variance = self._reproject(k, batch, px, py, fine)
                variance = None if variance is None else variance * area**2
                self._put((batch, k), inside, values * area, bad, variance)

    def _reproject(
        self, band: int, rows: NDArray[np.intp], px: NDArray, py: NDArray, fine: int
    ) -> tuple[NDArray, NDArray, NDArray | None]:
        """Values, bad pixels and variance of some stamps."""
        image = self.images[band]
        if self.method == "interp":
            return resample_interp(image, px, py, fine)
        if self.method == "adaptive":
            return resample_adaptive(image, px, py)
        # That there is a WCS has been made sure of before.
        return resample_exact(image, px, py, self.grid.wcs(rows[0], band))

    def _put(
        self,
        place: tuple[NDArray[np.intp], int],
        inside: NDArray[np.bool_],
        values: NDArray,
        bad: NDArray[np.bool_] | None,
        variance: NDArray | None,
    ) -> None:
        """Set the stamps of some rows of a band; what is NaN is filled and flagged later."""
        whole = inside.all(axis=(1, 2))
        self.overlap[place] = np.where(whole, 0, np.where(inside.any(axis=(1, 2)), 1, 2))
        if not whole.all():
            values = np.where(inside, values, self.fill_value)
            bad = ~inside if bad is None else bad | ~inside
            variance = None if variance is None else np.where(inside, variance, np.inf)
        self.data[place] = values
        if bad is not None:
            self.mask[place] = bad
        if self.variance is not None:
            self.variance[place] = variance

    def fill(self) -> None:
        """Set the stamps that are not on their image."""
        off = self.overlap == 2
        self.data[off], self.mask[off] = self.fill_value, True
        if self.variance is not None:
            self.variance[off] = np.inf


def _batches(ratio: NDArray, shape: tuple[int, int], budget: int) -> Iterator[slice]:
    """Portions of rows, which come by increasing pixel ratio, with a bounded number of pixels."""
    cost = np.maximum(1.5 * ratio, 1) ** 2 * np.prod(np.array(shape) + 2)
    start = 0
    for stop in range(1, len(ratio) + 1):
        if stop == len(ratio) or (stop + 1 - start) * cost[stop] > budget:
            yield slice(start, stop)
            start = stop


def _coordinates(
    to_pixel: Mapping, rows: NDArray, shape: tuple[int, int], fine: int
) -> tuple[NDArray, NDArray]:
    """
    X and y in the image of every pixel of the stamps and of one pixel around them.

    With ``fine`` more than 1, a pixel has ``fine`` times ``fine`` places in it.

    The mapping is smooth over a stamp: it is computed at a few Chebyshev nodes and
    at the corners, where a polynomial is at its worst. Where that misses, every pixel
    is computed.
    """
    offsets = [(np.arange(-1, k * fine + 1) - (k * fine - 1) / 2) / fine for k in shape]
    nodes = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
    to_coefficients = np.linalg.inv(chebvander(nodes, _NODES - 1))
    through = [chebvander(o / o[-1], _NODES - 1) @ to_coefficients for o in offsets]
    v, u_ = np.meshgrid(*(nodes * o[-1] for o in offsets), indexing="ij")
    corner_v, corner_u = np.meshgrid(*(o[[0, -1]] for o in offsets), indexing="ij")
    exact = to_pixel(
        rows, np.append(u_.ravel(), corner_u.ravel()), np.append(v.ravel(), corner_v.ravel())
    )
    places, miss = [], np.zeros(len(rows), dtype=bool)
    for place in exact:
        at_nodes = place[:, :-4].reshape(-1, _NODES, _NODES)
        full = through[0] @ at_nodes @ through[1].T
        corners = full[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        miss |= ~(np.abs(corners - place[:, -4:]) < _TOLERANCE).all(axis=1)
        places.append(full)
    if miss.any():
        v, u_ = np.meshgrid(*offsets, indexing="ij")
        for full, place in zip(places, to_pixel(rows[miss], u_.ravel(), v.ravel()), strict=True):
            full[miss] = place.reshape(-1, *v.shape)
    return places[0], places[1]


def _pixel_area(px: NDArray, py: NDArray) -> NDArray:
    """Pixels of the image by pixel of the stamp, shape (b, ny, nx)."""
    dxdv, dxdu = np.gradient(px, axis=(1, 2))
    dydv, dydu = np.gradient(py, axis=(1, 2))
    return np.abs(dxdu * dydv - dxdv * dydu)[:, 1:-1, 1:-1]
