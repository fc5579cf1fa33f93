"""Stamps on their own tangent planes: where they lie in the images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import FK4, FK5, ICRS, BaseCoordinateFrame, SkyCoord
from astropy.wcs.utils import (
    celestial_frame_to_wcs,
    proj_plane_pixel_area,
    wcs_to_celestial_frame,
)
from numpy.typing import NDArray

from .._flags import Flag
from ._fill import Stamps
from ._grids import TangentGrid, local_jacobian, mean_scale, pixel_to_lonlat
from ._image import Image, same_pixels
from ._zoom import Mapping

__all__ = ["resample"]

# A stamp keeps the skew of its image's pixels up to this, relative, and so can lie straight.
_SKEW = 5e-4


def resample(
    images: Sequence[Image],
    coords: SkyCoord | None,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    shape: tuple[int, int],
    scale: float | None,
    widths: NDArray[np.float64] | None,
    widths_are_angles: bool,
    north_up: bool,
    method: str,
    conserve: str,
    fill_value: float,
) -> tuple[NDArray, NDArray, NDArray | None, NDArray, TangentGrid | None]:
    """
    Resample a stamp of each image around each position.

    Parameters
    ----------
    images : sequence of Image, length c
        The bands.
    coords : `~astropy.coordinates.SkyCoord` or None, shape (n,)
        The positions on the sky.
    x, y : ndarray, shape (n,)
        The positions in the first image; NaN if invalid.
    shape : (ny, nx)
        Pixels of a stamp.
    scale : float or None
        Degrees by pixel of the stamps.
    widths : ndarray or None, shape (n,)
        Instead of ``scale``: what the longer side of each stamp spans.
    widths_are_angles : bool
        Whether ``widths`` are degrees or pixels of the first image.
    north_up, method, conserve, fill_value
        As of `extract_cutouts`.

    Returns
    -------
    data, mask, variance : ndarray, shape (n, c, ny, nx)
        The stamps; variance may be None.
    flags : ndarray, shape (n,)
        Bits known here.
    grid : TangentGrid or None
        The stamps' WCS.
    """
    n, c = len(x), len(images)
    flags = np.zeros(n, dtype=np.int32)
    step: Any = scale
    if widths is not None:
        flags[np.isfinite(x) & ~np.isfinite(widths)] = Flag.INVALID_SIZE
        step = widths / max(shape)
    grid = None
    if coords is None:
        ratio = step
        maps = [_affine(x, y, step)] * c
    else:
        grid, frame, ratio = _tangent_grid(
            images[0],
            coords,
            x,
            y,
            shape=shape,
            scale=step,
            in_pixels=scale is None and not widths_are_angles,
            north_up=north_up,
        )
        maps = [_through_sky(grid, frame, image) for image in images]
    # A stamp whose single pixel would cover the image is a mistake, and a costly one.
    huge = ratio > max(images[0].shape)
    flags[huge] = Flag.INVALID_SIZE
    usable = np.flatnonzero(np.isfinite(x) & np.isfinite(ratio) & ~huge)
    flags[usable] = Flag.RESAMPLED
    usable = usable[np.argsort(ratio[usable], kind="stable")]
    stamps = Stamps(images, n, shape, fill_value, method=method, flux=conserve == "flux", grid=grid)
    for bands in same_pixels(images):
        # Pixels of these bands by pixel of a stamp.
        coarser = ratio * _finer(images[bands[0]], images[0])
        stamps.make(bands, usable, maps[bands[0]], coarser)
    stamps.fill()
    overlap = stamps.overlap[usable]
    nowhere = (overlap == 2).all(axis=1)
    flags[usable[nowhere]] |= Flag.NO_OVERLAP
    flags[usable[~nowhere & (overlap > 0).any(axis=1)]] |= Flag.PARTIAL_OVERLAP
    return stamps.data, stamps.mask, stamps.variance, flags, grid


def _tangent_grid(
    first: Image,
    coords: SkyCoord,
    x: NDArray,
    y: NDArray,
    *,
    shape: tuple[int, int],
    scale: float | NDArray,
    in_pixels: bool,
    north_up: bool,
) -> tuple[TangentGrid, BaseCoordinateFrame, NDArray]:
    """The stamps' WCS, its frame, and the pixels of the first image by pixel of a stamp."""
    own = wcs_to_celestial_frame(first.wcs)
    # North is that of the equator, also in an image in galactic coordinates.
    frame = own if isinstance(own, ICRS | FK5 | FK4) else ICRS()
    sky = coords.transform_to(frame).spherical
    jacobian = local_jacobian(
        lambda px, py: _convert(*pixel_to_lonlat(first.wcs, px, py), own, frame), x, y
    )
    native = mean_scale(jacobian)
    scale = np.broadcast_to(scale * native if in_pixels else scale, x.shape)
    good = np.isfinite(native) & np.isfinite(scale)
    turn = np.full((len(x), 2, 2), np.nan)
    if north_up:
        turn[good] = [[-1.0, 0.0], [0.0, 1.0]]
    else:
        # The rotation (or reflection) closest to the image's own axes.
        left, _, right = np.linalg.svd(jacobian[good])
        turn[good] = left @ right
        axes = jacobian / native[:, None, None]
        straight = np.abs(axes - turn).max(axis=(1, 2)) < _SKEW
        turn[straight] = axes[straight]
    wcs = celestial_frame_to_wcs(frame).wcs
    header: dict[str, Any] = {"RADESYS": wcs.radesys}
    if np.isfinite(wcs.equinox):
        header["EQUINOX"] = wcs.equinox
    crval = np.column_stack([sky.lon.deg, sky.lat.deg])
    grid = TangentGrid(crval, turn * scale[:, None, None], shape, header)
    return grid, frame, np.where(good, scale / native, np.nan)


def _affine(x: NDArray, y: NDArray, step: NDArray) -> Mapping:
    """The mapping of images without a WCS: a scale."""

    def to_pixel(rows: NDArray, u_: NDArray, v: NDArray) -> tuple[NDArray, NDArray]:
        s = step[rows, None]
        return x[rows, None] + s * u_, y[rows, None] + s * v

    return to_pixel


def _through_sky(grid: TangentGrid, frame: BaseCoordinateFrame, image: Image) -> Mapping:
    """Stamp to tangent plane to sky to image; offsets are from the middle of the stamp."""
    own = wcs_to_celestial_frame(image.wcs)

    def to_pixel(rows: NDArray, u_: NDArray, v: NDArray) -> tuple[NDArray, NDArray]:
        east, north = np.radians(np.moveaxis(grid.cd[rows] @ np.stack([u_, v]), 1, 0))
        lon0, lat0 = np.radians(grid.crval[rows].T)[:, :, None]
        # Inverse gnomonic projection (Calabretta & Greisen 2002, A&A 395, 1077, eq. 54).
        depth = np.cos(lat0) - north * np.sin(lat0)
        lon = lon0 + np.arctan2(east, depth)
        lat = np.arctan2(np.sin(lat0) + north * np.cos(lat0), np.hypot(east, depth))
        return image.to_pixel(*_convert(np.degrees(lon) % 360, np.degrees(lat), frame, own))

    return to_pixel


def _convert(
    lon: NDArray, lat: NDArray, frame: BaseCoordinateFrame, other: BaseCoordinateFrame
) -> tuple[NDArray, NDArray]:
    if frame.is_equivalent_frame(other):
        return lon, lat
    sphere = SkyCoord(lon, lat, unit=u.deg, frame=frame).transform_to(other).spherical
    return sphere.lon.deg, sphere.lat.deg


def _finer(image: Image, other: Image) -> float:
    """How many times smaller than another image's the pixels of an image are."""
    if image.wcs is None:
        return 1.0
    return float(np.sqrt(proj_plane_pixel_area(other.wcs) / proj_plane_pixel_area(image.wcs)))
