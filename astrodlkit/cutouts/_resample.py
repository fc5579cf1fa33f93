"""
Stamps on their own tangent planes, resampled by reproject.

A call of reproject costs about a millisecond before it looks at a pixel, most of it in
coordinates. Here the coordinates of all stamps are found first, and reproject is given many
stamps stacked in one tall image, with a WCS that looks the coordinates up.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from astropy import units as u
from astropy.coordinates import FK4, FK5, ICRS, BaseCoordinateFrame, SkyCoord
from astropy.wcs.utils import (
    celestial_frame_to_wcs,
    proj_plane_pixel_area,
    wcs_to_celestial_frame,
)
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

from .._flags import Flag
from ._grids import TangentGrid, local_jacobian, mean_scale, pixel_to_lonlat
from ._images import Image
from ._kernels import resample_adaptive, resample_exact, resample_interp

__all__ = ["resample"]

# Nodes in each direction at which the mapping of a stamp is exact; a polynomial goes through.
_NODES = 7
# Pixels by which that polynomial may be wrong before every pixel is transformed.
_TOLERANCE = 1e-4
# Pixels of the parent that are stacked in one call.
_BUDGET = 500_000

_Mapping: TypeAlias = Callable[[NDArray, NDArray, NDArray], tuple[NDArray, NDArray]]


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
    if widths is not None:
        flags[np.isfinite(x) & ~np.isfinite(widths)] = Flag.INVALID_SIZE
        widths = widths / max(shape)
    grid = None
    if coords is None:
        ratio = widths
        maps = [_affine(x, y, widths)] * c
    else:
        grid, frame, ratio = _tangent_grid(
            images[0],
            coords,
            x,
            y,
            shape=shape,
            scale=widths if scale is None else scale,
            in_pixels=scale is None and not widths_are_angles,
            north_up=north_up,
        )
        maps = [_through_sky(grid, frame, image) for image in images]
    data = np.full((n, c, *shape), fill_value, np.result_type(*(i.dtype for i in images)))
    mask = np.ones(data.shape, dtype=bool)
    variance = None if images[0].uncertainty is None else np.full_like(data, np.inf)
    # 0: wholly on the image, 1: partly, 2: not at all.
    overlap = np.full((n, c), 2, dtype=np.int8)
    # A stamp whose single pixel would cover the image is a mistake, and a costly one.
    huge = ratio > max(images[0].shape)
    flags[huge] = Flag.INVALID_SIZE
    usable = np.flatnonzero(np.isfinite(x) & np.isfinite(ratio) & ~huge)
    flags[usable] = Flag.RESAMPLED
    usable = usable[np.argsort(ratio[usable], kind="stable")]
    for batch in _batches(usable, ratio * _finest(images), shape, single=method != "interp"):
        for k, (image, to_pixel) in enumerate(zip(images, maps, strict=True)):
            px, py = _coordinates(to_pixel, batch, shape)
            inside = image.contains(*_inner(px, py))
            overlap[batch, k] = np.where(inside.any(axis=(1, 2)), ~inside.all(axis=(1, 2)), 2)
            some = overlap[batch, k] < 2
            if not some.any():
                continue
            rows, px, py, inside = batch[some], px[some], py[some], inside[some]
            if method == "exact":
                values, bad, var = resample_exact(image, px, py, grid.wcs(rows[0], k))
            else:
                kernel = resample_interp if method == "interp" else resample_adaptive
                values, bad, var = kernel(image, px, py)
            if conserve == "flux":
                area = _pixel_area(px, py)
                values *= area
                var = None if var is None else var * area**2
            # What is still NaN is filled and flagged with the rest.
            data[rows, k] = np.where(inside, values, fill_value)
            mask[rows, k] = bad | ~inside
            if var is not None:
                variance[rows, k] = np.where(inside, var, np.inf)
    nowhere = (overlap[usable] == 2).all(axis=1)
    flags[usable[nowhere]] |= Flag.NO_OVERLAP
    flags[usable[~nowhere & (overlap[usable] > 0).any(axis=1)]] |= Flag.PARTIAL_OVERLAP
    return data, mask, variance, flags, grid


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
    wcs = celestial_frame_to_wcs(frame).wcs
    header: dict[str, Any] = {"RADESYS": wcs.radesys}
    if np.isfinite(wcs.equinox):
        header["EQUINOX"] = wcs.equinox
    crval = np.column_stack([sky.lon.deg, sky.lat.deg])
    grid = TangentGrid(crval, turn * scale[:, None, None], shape, header)
    return grid, frame, np.where(good, scale / native, np.nan)


def _affine(x: NDArray, y: NDArray, step: NDArray) -> _Mapping:
    """The mapping of images without a WCS: a scale."""

    def to_pixel(rows: NDArray, u_: NDArray, v: NDArray) -> tuple[NDArray, NDArray]:
        s = step[rows, None]
        return x[rows, None] + s * u_, y[rows, None] + s * v

    return to_pixel


def _through_sky(grid: TangentGrid, frame: BaseCoordinateFrame, image: Image) -> _Mapping:
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


def _finest(images: Sequence[Image]) -> float:
    """How many times smaller than the first image's the smallest pixels are."""
    if images[0].wcs is None:
        return 1.0
    areas = [proj_plane_pixel_area(image.wcs) for image in images]
    return float(np.sqrt(areas[0] / min(areas)))


def _batches(
    rows: NDArray, ratio: NDArray, shape: tuple[int, int], *, single: bool
) -> Iterator[NDArray]:
    """Rows, by increasing pixel ratio, in portions of bounded memory."""
    cost = np.maximum(1.5 * ratio[rows], 1) ** 2 * np.prod(np.array(shape) + 2)
    start = 0
    for stop in range(1, len(rows) + 1):
        last = stop == len(rows)
        if single or last or (stop + 1 - start) * cost[stop] > _BUDGET:
            yield rows[start:stop]
            start = stop


def _coordinates(
    to_pixel: _Mapping, rows: NDArray, shape: tuple[int, int]
) -> tuple[NDArray, NDArray]:
    """
    X and y in the image of every pixel of the stamps and of one pixel around them.

    The mapping is smooth over a stamp: it is computed at a few Chebyshev nodes and
    at the corners, where a polynomial is at its worst. Where that misses, every pixel
    is computed.
    """
    offsets = [np.arange(-1, k + 1) - (k - 1) / 2 for k in shape]
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


def _inner(*arrays: NDArray) -> list[NDArray]:
    return [array[:, 1:-1, 1:-1] for array in arrays]


def _pixel_area(px: NDArray, py: NDArray) -> NDArray:
    """Pixels of the image by pixel of the stamp, shape (b, ny, nx)."""
    dxdv, dxdu = np.gradient(px, axis=(1, 2))
    dydv, dydu = np.gradient(py, axis=(1, 2))
    return np.abs(dxdu * dydv - dxdv * dydu)[:, 1:-1, 1:-1]
