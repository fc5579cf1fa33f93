"""One-point statistics of maps: histograms of pixels and of peaks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from astropy import units as u
from astropy.nddata import NDData
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ._maps import Maps, read_maps
from ._values import read_bins

__all__ = ["MapHistogram", "count_between", "peak_counts", "pixel_histogram"]


@dataclass(frozen=True, eq=False)
class MapHistogram:
    """
    Numbers of pixels, or of peaks, in bins of their value.

    Parameters
    ----------
    edges : `~astropy.units.Quantity`, shape (m + 1,)
        Edges of the bins; the lower one belongs to its bin. NaN where a number of
        bins was to divide the range of no map.
    counts : `~numpy.ndarray` of int, shape (..., m)
        Numbers in each bin, map by map.
    below, above : `~numpy.ndarray` of int, shape (...)
        Numbers below the first edge, and from the last edge on.
    """

    edges: u.Quantity
    counts: NDArray[np.intp]
    below: NDArray[np.intp]
    above: NDArray[np.intp]

    @property
    def at_or_above(self) -> NDArray[np.intp]:
        """Numbers at or above each edge, shape (..., m + 1)."""
        counts = np.concatenate([self.counts, self.above[..., np.newaxis]], axis=-1)
        return np.flip(np.flip(counts, axis=-1).cumsum(axis=-1), axis=-1)


def pixel_histogram(
    maps: ArrayLike | u.Quantity | NDData,
    *,
    bins: int | ArrayLike | u.Quantity = 50,
    log: bool = True,
) -> MapHistogram:
    """
    Histogram of the pixels of each map.

    Parameters
    ----------
    maps : array_like, `~astropy.units.Quantity` or `~astropy.nddata.NDData`, shape (..., ny, nx)
        One plus the density contrast, or any real field; read one map at a time.
    bins : int, array_like or `~astropy.units.Quantity`
        Edges in the unit of the maps, or the number of bins from the least to
        the greatest pixel of all maps.
    log : bool
        Whether a number of bins means equal ones of the logarithm, from the least
        positive pixel on; the others are then counted in ``below``.

    Returns
    -------
    histogram : MapHistogram
        Of each map.

    Raises
    ------
    TypeError
        If ``bins`` is no number and no edges, or these have no unit and the maps have.
    ValueError
        If a pixel is NaN, infinite or masked, edges do not increase, or a number
        of bins has no range to divide.
    astropy.units.UnitConversionError
        If the edges have another unit.

    Examples
    --------
    >>> from astrodlkit.metrics import pixel_histogram
    >>> map_ = [[0, 1, 1], [2, 2, 5], [0.5, 1, 8]]
    >>> histogram = pixel_histogram(map_, bins=[0.5, 1, 2, 4])
    >>> print(histogram.counts, histogram.below, histogram.above)
    [1 3 2] 1 2
    """
    return _histogram(read_maps(maps), np.ravel, bins, log=log)


def peak_counts(
    maps: ArrayLike | u.Quantity | NDData,
    *,
    bins: int | ArrayLike | u.Quantity = 50,
    log: bool = True,
    n_neighbors: Literal[8, 24] = 8,
) -> MapHistogram:
    """
    Histogram of the peaks of each periodic map, by height [1]_.

    Parameters
    ----------
    maps, bins, log
        As of `pixel_histogram`; a number of bins goes from the lowest to the
        highest peak. The maps are periodic along both sides.
    n_neighbors : {8, 24}
        A peak is a pixel that is greater than all of the 8 around it, or than
        the 24 of a square of 5 by 5.

    Returns
    -------
    histogram : MapHistogram
        Of each map; ``at_or_above`` has the peaks above thresholds.

    Raises
    ------
    TypeError, ValueError, astropy.units.UnitConversionError
        As from `pixel_histogram`, and if a map is smaller than the square.

    References
    ----------
    .. [1] Rodriguez et al. 2018, Computational Astrophysics and Cosmology 5, 4,
       section 5.

    Examples
    --------
    >>> from astrodlkit.metrics import peak_counts
    >>> map_ = [[3, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    >>> peaks = peak_counts(map_, bins=[1, 2])
    >>> print(peaks.counts, peaks.at_or_above)
    [1] [2 1]
    """
    read = read_maps(maps)
    if n_neighbors not in (8, 24):
        raise ValueError(f"n_neighbors must be 8 or 24, got {n_neighbors!r}")
    width = 3 if n_neighbors == 8 else 5
    if min(read.shape) < width:
        raise ValueError(f"maps must have {width} pixels or more on a side, got {read.shape}")
    around = np.ones((width, width), dtype=bool)
    around[width // 2, width // 2] = False

    def peaks(map_: NDArray[np.float64]) -> NDArray[np.float64]:
        return map_[map_ > ndimage.maximum_filter(map_, footprint=around, mode="wrap")]

    return _histogram(read, peaks, bins, log=log)


def count_between(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.intp]:
    """
    Count the values below, between and from the edges on.

    Parameters
    ----------
    values : `~numpy.ndarray`
        Numbers.
    edges : `~numpy.ndarray`, shape (m,)
        Increasing; each belongs to what follows it.

    Returns
    -------
    counts : `~numpy.ndarray` of int, shape (m + 1,)
        Numbers of values.
    """
    place = np.searchsorted(edges, values.ravel(), side="right")
    return np.bincount(place, minlength=len(edges) + 1)


def _histogram(
    maps: Maps,
    pick: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    bins: int | ArrayLike | u.Quantity,
    *,
    log: bool,
) -> MapHistogram:
    edges = read_bins(bins, maps.unit)
    if isinstance(edges, int) and 0 in maps.batch:
        edges = np.full(edges + 1, np.nan)
    elif isinstance(edges, int):
        edges = _divide((pick(map_) for map_ in maps), edges, log=log)
    counts = [count_between(pick(map_), edges) for map_ in maps]
    table = np.reshape(np.array(counts, dtype=np.intp), (*maps.batch, len(edges) + 1))
    return MapHistogram(edges * maps.unit, table[..., 1:-1], table[..., 0], table[..., -1])


def _divide(values: Iterator[NDArray[np.float64]], bins: int, *, log: bool) -> NDArray[np.float64]:
    """Divide the range of the values into equal bins."""
    low, high = np.inf, -np.inf
    for each in values:
        some = each[each > 0] if log else each
        low, high = min(low, some.min(initial=np.inf)), max(high, some.max(initial=-np.inf))
    if not low < high:
        what = "positive values" if log else "values"
        raise ValueError(f"bins={bins} needs {what} that differ; give the edges as an array")
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)
    edges[-1] = np.nextafter(high, np.inf)  # the greatest value belongs to the last bin
    return edges
