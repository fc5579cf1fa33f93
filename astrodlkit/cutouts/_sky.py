"""Where the pixels of many stamps lie on the sky, at once."""

from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

from ._cutouts import Cutouts
from ._grids import ParentGrid, TangentGrid, pixel_to_lonlat

__all__ = ["stamp_pixels_to_sky"]


def stamp_pixels_to_sky(cutouts: Cutouts, band: int, pixels: NDArray[np.float64]) -> SkyCoord:
    """
    Coordinates of the same pixels of all stamps.

    Parameters
    ----------
    cutouts : Cutouts
        With a WCS.
    band : int
        Number of the band.
    pixels : ndarray, shape (m, 2)
        0-based x and y in a stamp.

    Returns
    -------
    coords : `~astropy.coordinates.SkyCoord`, shape (n, m)
        NaN where a stamp has no place.
    """
    grid = cutouts._grid  # noqa: SLF001
    if isinstance(grid, TangentGrid):
        return _of_tangents(grid, pixels)
    if isinstance(grid, ParentGrid):
        return _of_parents(grid, band, pixels)
    raise ValueError(
        "cutouts have no WCS: a table with positions, such as the columns 'ra' and 'dec', gives "
        "them one"
    )


def _of_tangents(grid: TangentGrid, pixels: NDArray[np.float64]) -> SkyCoord:
    middle = (np.array(grid.shape[::-1]) - 1) / 2
    xi, eta = np.radians(np.einsum("nij,mj->inm", grid.cd, pixels - middle))
    lon, lat = np.radians(grid.crval.T)[:, :, None]
    # Gnomonic projection (Calabretta & Greisen 2002, A&A, 395, 1077, section 5.1.3).
    depth = np.cos(lat) - eta * np.sin(lat)
    north = np.arctan2(np.sin(lat) + eta * np.cos(lat), np.hypot(xi, depth))
    frames = (grid.wcs(row, 0) for row in range(len(grid.crval)))
    wcs = next((wcs for wcs in frames if wcs is not None), None)
    frame: Any = "icrs" if wcs is None else wcs_to_celestial_frame(wcs)
    return SkyCoord(lon + np.arctan2(xi, depth), north, unit=u.rad, frame=frame)


def _of_parents(grid: ParentGrid, band: int, pixels: NDArray[np.float64]) -> SkyCoord:
    lon, lat = np.full((2, len(grid.index), len(pixels)), np.nan)
    frame: Any = wcs_to_celestial_frame(grid.parents[0])
    for number, parent in enumerate(grid.parents):
        rows = np.flatnonzero(grid.index[:, band] == number)
        places = grid.origins[rows, band][:, None] + pixels
        own = pixel_to_lonlat(parent, places[..., 0], places[..., 1])
        sky = SkyCoord(*own, unit=u.deg, frame=wcs_to_celestial_frame(parent))
        sphere = sky.transform_to(frame).spherical
        lon[rows], lat[rows] = sphere.lon.deg, sphere.lat.deg
    return SkyCoord(lon, lat, unit=u.deg, frame=frame)
