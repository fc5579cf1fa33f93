"""Where stamps lie on the sky and on images."""

import numpy as np
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

from ..cutouts._grids import (
    ParentGrid,
    TangentGrid,
    local_jacobian,
    lonlat_to_pixel,
    pixel_to_lonlat,
    sky_to_lonlat,
)

__all__ = ["elongation", "moved", "on_image", "on_sky", "sky_jacobian", "to_pixel"]

# Of a WCS without a shape: as far out as any image reaches.
_FAR = (10**7, 10**7)


def sky_jacobian(
    wcs: WCS, x: NDArray, y: NDArray, frame: BaseCoordinateFrame
) -> NDArray[np.float64]:
    """
    Degrees east and north, in a frame, by pixel in x and y.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Of an image.
    x, y : ndarray, shape (n,)
        0-based pixels.
    frame : coordinate frame
        Whose north is meant.

    Returns
    -------
    jacobian : ndarray, shape (n, 2, 2)
        NaN where there is no sky.
    """
    own = wcs_to_celestial_frame(wcs)

    def to_lonlat(px: NDArray, py: NDArray) -> tuple[NDArray, NDArray]:
        lon, lat = pixel_to_lonlat(wcs, px, py)
        if own.is_equivalent_frame(frame):
            return lon, lat
        sphere = SkyCoord(lon, lat, unit=u.deg, frame=own).transform_to(frame).spherical
        return sphere.lon.deg, sphere.lat.deg

    return local_jacobian(to_lonlat, x, y)


def elongation(jacobian: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much longer pixels are in x than in y, shape (n,) from (n, 2, 2)."""
    in_x, in_y = np.moveaxis(np.hypot(jacobian[:, 0], jacobian[:, 1]), -1, 0)
    return np.asarray(in_x / in_y)


def to_pixel(wcs: WCS, positions: SkyCoord) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """0-based x and y of positions on an image; NaN where they are not on its projection."""
    lon, lat = sky_to_lonlat(wcs, positions)
    return lonlat_to_pixel(wcs, lon, lat, wcs.array_shape or _FAR)


def moved(
    positions: SkyCoord, shift: NDArray[np.float64], jacobian: NDArray[np.float64], wcs: WCS | None
) -> SkyCoord:
    """
    Positions moved by pixels of their stamps, or of an image.

    Parameters
    ----------
    positions : `~astropy.coordinates.SkyCoord`, shape (n,)
        On the sky.
    shift : ndarray, shape (n, 2)
        By how much in x and y.
    jacobian : ndarray, shape (n, 2, 2)
        Arcseconds east and north (of ICRS) by pixel.
    wcs : `~astropy.wcs.WCS` or None
        Of the image.

    Returns
    -------
    positions : `~astropy.coordinates.SkyCoord`, shape (n,)
        In the same frame; those that are not moved are the same.
    """
    rows = np.flatnonzero(np.isfinite(shift).all(axis=1) & shift.any(axis=1))
    if not len(rows):
        return positions
    if wcs is not None:
        x, y = to_pixel(wcs, positions[rows]) + shift[rows].T
        lon, lat = pixel_to_lonlat(wcs, x, y)
        new = SkyCoord(lon, lat, unit=u.deg, frame=wcs_to_celestial_frame(wcs))
    else:
        east, north = np.radians(np.einsum("nij,nj->in", jacobian[rows], shift[rows]) / 3600)
        # The stamps are tangent planes.
        new = positions[rows].icrs.directional_offset_by(
            np.arctan2(east, north) * u.rad, np.arctan(np.hypot(east, north)) * u.rad
        )
    old, new = positions.spherical, new.transform_to(positions.frame).spherical
    lon, lat = old.lon.deg.copy(), old.lat.deg.copy()
    lon[rows], lat[rows] = new.lon.deg, new.lat.deg
    return SkyCoord(lon, lat, unit=u.deg, frame=positions.frame.replicate_without_data())


def on_sky(positions: SkyCoord, shape: tuple[int, int], scale: float) -> TangentGrid:
    """
    Stamps centred on their galaxies, north (of ICRS) up and east left.

    Parameters
    ----------
    positions : `~astropy.coordinates.SkyCoord`, shape (n,)
        Of the galaxies.
    shape : (int, int)
        (ny, nx) of a stamp.
    scale : float
        Arcseconds a pixel.

    Returns
    -------
    grid : TangentGrid
        Of the stamps.
    """
    icrs = positions.icrs
    crval = np.column_stack([icrs.ra.deg, icrs.dec.deg])
    cd = np.tile(np.diag([-scale, scale]) / 3600, (len(crval), 1, 1))
    return TangentGrid(crval, cd, shape, {"RADESYS": "ICRS"})


def on_image(
    wcs: WCS, place: NDArray[np.float64], shape: tuple[int, int], n_bands: int
) -> tuple[ParentGrid, NDArray[np.float64]]:
    """
    Stamps on the pixels of an image.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Of the image.
    place : ndarray, shape (n, 2)
        x and y of the galaxies, 0-based; NaN where they are nowhere.
    shape : (int, int)
        (ny, nx) of a stamp.
    n_bands : int
        Of the stamps.

    Returns
    -------
    grid : ParentGrid
        Of the stamps.
    shift : ndarray, shape (n, 2)
        x and y of the galaxies from the middle of their stamps, half a pixel or less.
    """
    middle = (np.array(shape[::-1]) - 1) / 2
    # Beyond this no image has a pixel, and whole numbers have no room.
    good = np.asarray((np.abs(place) < 1e9).all(axis=1))
    first = np.zeros(place.shape, np.int64)
    # As `extract_cutouts` does.
    first[good] = np.ceil(place[good] - np.array(shape[::-1]) / 2).astype(np.int64)
    index = np.where(good, 0, -1).astype(np.int32)
    grid = ParentGrid(
        [wcs],
        np.repeat(index[:, None], n_bands, axis=1),
        np.repeat(first[:, None], n_bands, axis=1),
        (middle[0], middle[1]),
    )
    return grid, place - first - middle
