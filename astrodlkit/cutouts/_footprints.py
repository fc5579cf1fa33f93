"""Where on the sky images lie, and which of them holds a position best."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

__all__ = ["Footprints", "footprint_of", "unit_vectors"]


def footprint_of(wcs: WCS, shape: tuple[int, int]) -> str:
    """
    The outline of an image as ObsCore writes it (IVOA, ``s_region``).

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Two celestial axes.
    shape : (ny, nx)
        Of the image.

    Returns
    -------
    region : str
        ``"POLYGON ICRS"`` and the corners' right ascensions and declinations
        in degrees.

    Raises
    ------
    ValueError
        If a corner is not on the sky.
    """
    corners = wcs.calc_footprint(axes=shape[::-1], center=False)
    lon, lat = corners[:, wcs.wcs.lng], corners[:, wcs.wcs.lat]
    if not np.isfinite(corners).all():
        raise ValueError("a corner of the image is not on the sky")
    sky = SkyCoord(lon, lat, unit=u.deg, frame=wcs_to_celestial_frame(wcs)).icrs
    numbers = np.column_stack([sky.ra.deg, sky.dec.deg]).ravel()
    return "POLYGON ICRS " + " ".join(f"{number:.9f}" for number in numbers)


def unit_vectors(coords: SkyCoord) -> NDArray[np.float64]:
    """Vectors of length 1 to coordinates in the ICRS, shape (n, 3); NaN where they are."""
    frame = coords.frame if isinstance(coords.frame, ICRS) else coords.icrs
    lon, lat = frame.spherical.lon.radian, frame.spherical.lat.radian
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


class Footprints:
    """
    Convex polygons on the sky, whose sides are great circles.

    Parameters
    ----------
    regions : sequence of str, length k
        As `footprint_of` writes them.

    Raises
    ------
    ValueError
        If one is no polygon.
    """

    def __init__(self, regions: Sequence[str]) -> None:
        polygons = [_corners(region) for region in regions]
        most = max((len(polygon) for polygon in polygons), default=3)
        # A corner that is repeated makes a side without length, which no position is beyond.
        corners = np.array(
            [[*polygon, *polygon[:1] * (most - len(polygon))] for polygon in polygons]
        )
        vectors = unit_vectors(SkyCoord(corners[..., 0], corners[..., 1], unit=u.deg))
        middle = vectors.sum(axis=1)
        self.middle = middle / np.linalg.norm(middle, axis=1, keepdims=True)
        sides = np.cross(vectors, np.roll(vectors, -1, axis=1))
        length = np.linalg.norm(sides, axis=2, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            sides = np.where(length > 0, sides / length, np.nan)
        inward = np.sign(np.einsum("kvi,ki->kv", sides, self.middle))
        self.sides = sides * inward[..., None]
        dots = np.einsum("kvi,ki->kv", vectors, self.middle)
        self.radius = np.arccos(np.clip(dots, -1, 1)).max(axis=1)

    def deepest(self, points: NDArray[np.float64], reach: NDArray[np.float64]) -> NDArray[np.intp]:
        """
        The polygon in which each point is farthest from the sides, the nearest above all.

        Parameters
        ----------
        points : ndarray, shape (n, 3)
            Unit vectors; NaN: none.
        reach : ndarray, shape (n,)
            Radians by which a point may lie outside.

        Returns
        -------
        number : ndarray of int, shape (n,)
            Which polygon, the first of those that are as good; -1: none.
        """
        from scipy.spatial import KDTree

        found = np.full(len(points), -1, dtype=np.intp)
        rows = np.flatnonzero(np.isfinite(points).all(axis=1))
        if not len(rows):
            return found
        best = np.full(len(points), -np.inf)
        # Polygons of one size together: a large one would bring in all the small ones.
        sizes = np.floor(np.log2(self.radius))
        for size in np.unique(sizes):
            members = np.flatnonzero(sizes == size)
            # Half as much again: at a corner it is farther to the polygon than to its sides.
            far = min(self.radius[members].max() + 1.5 * reach[rows].max(), np.pi)
            near = KDTree(self.middle[members]).query_ball_point(
                points[rows], 2 * np.sin(far / 2) + 1e-12
            )
            counts = np.fromiter(map(len, near), dtype=np.intp, count=len(near))
            row = np.repeat(rows, counts)
            which = members[np.array([k for each in near for k in each], dtype=np.intp)]
            depth = _depth(self.sides[which], points[row], reach[row])
            keep = depth > -reach[row]
            row, which, depth = row[keep], which[keep], depth[keep]
            # The last of a row is the deepest, and of several the first in the index.
            order = np.lexsort([-which, depth, row])
            last = order[np.diff(row[order], append=-1) != 0]
            better = (depth[last] > best[row[last]]) | (
                (depth[last] == best[row[last]]) & (which[last] < found[row[last]])
            )
            chosen = last[better]
            found[row[chosen]], best[row[chosen]] = which[chosen], depth[chosen]
        return found


def _depth(
    sides: NDArray[np.float64], points: NDArray[np.float64], reach: NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    How deep points lie in polygons, in radians; negative outside, and less than -reach too far.

    It is the distance to the nearest side, less what the others take away: at the border of a
    survey, where the nearest side is the same in two images, the next one decides.
    """
    away = np.arcsin(np.clip(np.einsum("pvi,pi->pv", sides, points), -1, 1))
    nearest = np.nanmin(away, axis=1)
    outside = np.where(nearest > 0, 0.0, reach)
    with np.errstate(divide="ignore"):
        inverse = np.nansum((away + outside[:, None]) ** -2.0, axis=1)
        depth = inverse**-0.5 - outside
    return np.where(nearest > -reach, depth, -np.inf)


def _corners(region: Any) -> list[tuple[float, float]]:
    words = str(region).replace("(", " ").replace(")", " ").replace(",", " ").split()
    kind, numbers = "".join(words[:1]).upper(), words[1:]
    if numbers and numbers[0].isalpha():
        if numbers[0].upper() not in ("ICRS", "J2000", "FK5"):
            raise ValueError(f"s_region must be in the ICRS, got {region!r}")
        numbers = numbers[1:]
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = []
    if kind != "POLYGON" or len(values) < 6 or len(values) % 2 or not np.isfinite(values).all():
        raise ValueError(
            "s_region must be a polygon of three or more corners, for example 'POLYGON ICRS 10 0 "
            f"11 0 11 1 10 1', got {region!r}"
        )
    return list(zip(values[::2], values[1::2], strict=True))
