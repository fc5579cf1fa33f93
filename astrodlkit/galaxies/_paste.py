"""Stamps on the pixels of an image: moved by whole pixels where they can be, resampled else."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter

from ..cutouts import Cutouts
from ..cutouts._sky import stamp_pixels_to_sky
from ._place import to_pixel

__all__ = ["Region", "StampsOnImage", "overlap"]

Region = tuple[slice, slice]
"""Rows and columns of an image."""

# How far from whole pixels a stamp may be to be moved by whole pixels, in pixels.
_WHOLE = 1e-3
# Of the spline for light: what it leaves of a PSF of two pixels is 1e-4 of the peak.
_ORDER = 5


@dataclass(frozen=True)
class StampsOnImage:
    """
    Where the pixels of n stamps lie on an image.

    ``middle`` is the middle of the stamps, in their own pixels (x, y); ``at`` (n, 2)
    the same on the image; ``first`` (n, 2) x and y of the first pixel on the image
    of the stamps that are ``aligned`` (n,), the others being resampled; ``low`` and
    ``high`` (n, 2) hold the stamp; ``terms`` (n, 6, 2) give the place in the stamp from
    that on the image, to second order.
    """

    middle: NDArray[np.float64]
    at: NDArray[np.float64]
    first: NDArray[np.float64]
    aligned: NDArray[np.bool_]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    terms: NDArray[np.float64]

    @classmethod
    def find(cls, cutouts: Cutouts, band: int, wcs: WCS) -> "StampsOnImage":
        """
        Find the stamps' pixels on an image.

        Parameters
        ----------
        cutouts : Cutouts
            With a WCS.
        band : int
            Which band's.
        wcs : `~astropy.wcs.WCS`
            Of the image.

        Returns
        -------
        places : StampsOnImage
            NaN where a stamp is nowhere.
        """
        ny, nx = cutouts.shape[-2:]
        middle = np.array([nx - 1, ny - 1]) / 2
        # The middle, the corners and the middles of the edges.
        around = np.stack(np.meshgrid([-0.5, 0, 0.5], [-0.5, 0, 0.5]), -1).reshape(9, 2)
        points = around * (nx, ny)
        coords = stamp_pixels_to_sky(cutouts, band, middle + points)
        places = np.stack(to_pixel(wcs, coords.ravel()), -1).reshape(len(cutouts), 9, 2)
        at = places[:, 4]
        first = np.round(at - middle)
        whole = np.abs(places - (first + middle)[:, None] - points).max(axis=(1, 2), initial=0)
        good = np.isfinite(places).all(axis=(1, 2))
        terms = np.full((len(cutouts), 6, 2), np.nan)
        terms[good] = np.linalg.pinv(_powers(places[good] - at[good, None])) @ points
        return cls(
            middle=middle,
            at=at,
            first=first,
            aligned=np.asarray(whole < _WHOLE),
            low=places.min(axis=1),
            high=places.max(axis=1),
            terms=terms,
        )

    def exists(self, row: int) -> bool:
        """Whether a stamp has a place on the sky, and on the image's projection."""
        return bool(np.isfinite(self.terms[row]).all())

    def region(self, row: int, shape: tuple[int, int]) -> Region | None:
        """Pixels of an image of a shape (ny, nx) that a stamp touches, None if there are none."""
        low = np.maximum(np.ceil(self.low[row] - 0.5 + _WHOLE), 0)
        high = np.minimum(np.floor(self.high[row] + 0.5 - _WHOLE) + 1, shape[::-1])
        if (low >= high).any():
            return None
        (x0, y0), (x1, y1) = low.astype(int).tolist(), high.astype(int).tolist()
        return slice(y0, y1), slice(x0, x1)

    def partial(self, row: int, shape: tuple[int, int]) -> bool:
        """Whether part of a stamp is off an image of a shape (ny, nx)."""
        low, high = self.low[row] + 0.5, self.high[row] + 0.5 - shape[::-1]
        return bool((low < -_WHOLE).any() or (high > _WHOLE).any())

    def moved(
        self, row: int, region: Region, plane: NDArray, *, order: int = _ORDER, power: int = 1
    ) -> NDArray:
        """
        One plane of a stamp, on the pixels of the image.

        Parameters
        ----------
        row : int
            Which stamp.
        region : Region
            As from `region`.
        plane : ndarray, shape (ny, nx)
            Of the stamp.
        order : int
            Of the spline, if it has to be resampled.
        power : int
            Of a pixel's area that the values go with: 1 for light, 2 for its
            variance (1 beyond the stamp's area), 0 for a mean.

        Returns
        -------
        plane : ndarray
            Of the shape of the region; 0 beyond the stamp.
        """
        if self.aligned[row]:
            x0, y0 = self.first[row].astype(int).tolist()
            ys, xs = region
            return plane[ys.start - y0 : ys.stop - y0, xs.start - x0 : xs.stop - x0]
        _, _, area = self._inside(row, region)
        # A pixel that is larger than the stamp's is the mean of several places.
        fine = int(np.ceil(np.sqrt(np.median(area)) - 0.05))
        steps = (np.arange(fine) + 0.5) / fine - 0.5
        filtered = spline_filter(plane, order) if order > 1 else plane
        total, (ny, nx) = np.zeros(area.shape), plane.shape
        for dy, dx in product(steps.tolist(), repeat=2):
            x, y, _ = self._inside(row, region, dx, dy)
            values = map_coordinates(filtered, (y, x), order=order, mode="mirror", prefilter=False)
            within = (np.abs(x - (nx - 1) / 2) < nx / 2) & (np.abs(y - (ny - 1) / 2) < ny / 2)
            total += np.where(within, values, 0)
        total = total / fine**2 * area**power
        # Over several pixels light is summed, and of a sum the variances add up.
        return total / np.maximum(area, 1) if power > 1 else total

    def _inside(
        self, row: int, region: Region, dx: float = 0.0, dy: float = 0.0
    ) -> tuple[NDArray, NDArray, NDArray]:
        """Places in the stamp of the pixels of a region, and how many of its pixels each holds."""
        ys, xs = region
        y, x = np.mgrid[ys, xs].astype(float)
        x, y = x + dx - self.at[row, 0], y + dy - self.at[row, 1]
        terms = self.terms[row]
        px, py = np.moveaxis(_powers(np.stack([x, y], -1)) @ terms, -1, 0)
        by_x = terms[1] + 2 * terms[3] * x[..., None] + terms[4] * y[..., None]
        by_y = terms[2] + terms[4] * x[..., None] + 2 * terms[5] * y[..., None]
        area = np.abs(by_x[..., 0] * by_y[..., 1] - by_x[..., 1] * by_y[..., 0])
        return px + self.middle[0], py + self.middle[1], area


def overlap(
    first: tuple[int, int], size: tuple[int, int], shape: tuple[int, int]
) -> tuple[Region, Region] | None:
    """
    Part of an image that a stamp covers, and that part of the stamp.

    Parameters
    ----------
    first : (int, int)
        x and y of the stamp's first pixel.
    size, shape : (int, int)
        (ny, nx) of the stamp and of the image.

    Returns
    -------
    parts : (Region, Region) or None
        None if they do not touch.
    """
    ours, theirs = [], []
    for start, n, length in zip(first[::-1], size, shape, strict=True):
        low, high = max(start, 0), min(start + n, length)
        if low >= high:
            return None
        ours.append(slice(low, high))
        theirs.append(slice(low - start, high - start))
    return (ours[0], ours[1]), (theirs[0], theirs[1])


def _powers(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Terms of second order of x and y, shape (..., 6) from (..., 2)."""
    x, y = np.moveaxis(places, -1, 0)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
