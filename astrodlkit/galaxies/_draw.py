"""GalSim objects of templates, and their pictures."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._flags import Flag
from ..cutouts import Cutouts
from ..specs import TemplateSpec
from ._paste import overlap
from ._psf import Psf, galsim
from ._request import Request
from ._templates import Galaxies, generator

__all__ = ["draw", "draw_cutouts", "template_profile"]

# Pixels on a side of the largest picture; a galaxy that needs more is too large.
_LARGEST = 4096
# Waves on a side of a transform, for each direction of x and y: from how many on it pays to draw a
# galaxy on few pixels, how many it may have there, and how many it can have anywhere.
_FEW, _SOME, _MOST = 1024, 2048, 2 * _LARGEST
# Waves a pixel that a transform must hold: beyond, a pixel's mean has less than a tenth left.
_NEEDED = 4.0
# Pixels of a pixel of the template; smaller ones would be the same to 3e-4 of the light.
_SMALLEST = 1 / 300

# Part of the light that may lie where a transform's ends meet; GalSim's own is 5e-3.
_FOLDED = 1e-3
# Of the template in the transform: what quintic interpolation between the waves then leaves is
# 1e-4 of the peak or so; a cubic one is no faster for as much.
_PADDING = 2


def template_profile(
    plane: NDArray[np.float32], spec: TemplateSpec, matrix: NDArray[np.float64]
) -> Any:
    """
    A template as a GalSim object of flux 1.

    Quintic interpolation in both spaces (Bernstein & Gruen 2014, PASP, 126,
    287). GalSim would look for the extent in both spaces; it is known.

    Parameters
    ----------
    plane : ndarray, shape (side, side)
        Of one band.
    spec : TemplateSpec
        Of the model.
    matrix : ndarray, shape (2, 2)
        From pixels of the template to others, or to arcseconds.

    Returns
    -------
    profile : `galsim.GSObject`
        The galaxy in what ``matrix`` leads to.
    """
    gs = galsim()
    profile = gs.InterpolatedImage(
        gs.Image(np.ascontiguousarray(plane, dtype=np.float32), scale=1.0),
        x_interpolant="quintic",
        k_interpolant="quintic",
        pad_factor=_PADDING,
        flux=1.0,
        calculate_stepk=False,
        calculate_maxk=False,
        _force_stepk=2 * np.pi / spec.side,
        # Twice what pixels of 1 can hold: beyond, the interpolant leaves next to nothing.
        _force_maxk=2 * np.pi,
        gsparams=_params(),
    )
    # GalSim's ratio is one of surface brightness.
    return gs.Transform(profile, matrix, flux_ratio=1 / abs(np.linalg.det(matrix)))


def draw(
    profile: Any, psf: Psf, shape: tuple[int, int], shift: NDArray[np.float64]
) -> NDArray[np.float32] | None:
    """
    Draw a profile on pixels.

    A transform has as many waves as the product of its extent and of the highest
    wavenumber. Small galaxies, which have high ones, are drawn on the few pixels
    that they touch.

    Parameters
    ----------
    profile : `galsim.GSObject` or None
        In pixels; None is a point of flux 1.
    psf : Psf
        Of the stamp.
    shape : (int, int)
        (ny, nx).
    shift : ndarray, shape (2,)
        x and y of the centre from the middle of the stamp, in pixels.

    Returns
    -------
    image : ndarray or None, shape (ny, nx)
        Integrated over pixels, all zero if nothing of it is on the stamp; None if
        it would take too large a transform.
    """
    whole = _convolved(profile, psf)
    extent = 2 * np.pi / whole.stepk
    if not extent <= _LARGEST:
        return None
    size = np.array(shape[::-1])
    if (np.abs(shift) > (extent + size) / 2).any():
        return np.zeros(shape, np.float32)
    side, length = 2 * int(np.ceil(extent / 2)) + 4, float((size + 2 * np.abs(shift)).max())
    few = side < length and max(extent, length) * whole.maxk / np.pi > _FEW
    waves = side if few else max(extent, length)
    most = max(np.pi * (_SOME if few else _LARGEST) / waves, 2 * np.pi * _NEEDED)
    if whole.maxk > most:
        whole = _convolved(profile, psf, most)
    if waves * min(whole.maxk, most) / np.pi > _MOST or whole.maxk > 1.01 * most:
        return None
    if not few:
        return _on_pixels(whole, shape, shift)
    first = np.round((size - side) / 2 + shift)
    picture = _on_pixels(whole, (side, side), shift - first + (size - side) / 2)
    image = np.zeros(shape, np.float32)
    parts = overlap((int(first[0]), int(first[1])), picture.shape, shape)
    if parts is not None:
        image[parts[0]] = picture[parts[1]]
    return image


def _convolved(profile: Any, psf: Psf, maxk: float | None = None) -> Any:
    """A profile with PSF and pixel, with waves up to a number where the pixel leaves little."""
    gs = galsim()
    parts = [each.withGSParams(_params()) for each in (profile, psf.profile) if each is not None]
    if not psf.has_pixel:
        # GalSim's rule for a pixel: 2 over the threshold.
        params = _params() if maxk is None else _params().withParams(maxk_threshold=2 / maxk)
        parts.append(gs.Pixel(1.0, gsparams=params))
    # One transform of all; real space would be slower than the pixels deserve.
    return gs.Convolve(parts, real_space=False, gsparams=_params(), propagate_gsparams=False)


def _on_pixels(
    whole: Any, shape: tuple[int, int], shift: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Draw what has its pixel in it."""
    image = galsim().Image(shape[1], shape[0], dtype=np.float32, scale=1.0)
    whole.drawImage(image, offset=shift, method="no_pixel")
    return np.asarray(image.array)


def draw_cutouts(
    request: Request,
    spec: TemplateSpec,
    rows: range,
    made: Iterable[tuple[int, Galaxies]],
    *,
    provenance: dict[str, Any],
    advance: Callable[[int], None],
) -> Cutouts:
    """
    Draw the stamps of some rows.

    Parameters
    ----------
    request : Request
        How.
    spec : TemplateSpec
        Of the model.
    rows : range
        Consecutive rows of the catalogue.
    made : iterable of (int, Galaxies)
        Their templates in parts, each with the number of its first row; some before
        the first of ``rows`` are passed over.
    provenance : dict
        Of the stamps.
    advance : callable
        Is told of how many rows are done.

    Returns
    -------
    cutouts : Cutouts
        With noise, if it is asked for.
    """
    catalog, bands = request.catalog, tuple(request.catalog.planes)
    shape = (len(rows), len(bands), *request.shape)
    data: NDArray = np.full(shape, np.nan, request.dtype)
    variance: NDArray | None = None
    if request.noise is not None:
        variance = np.full(shape, np.inf, request.dtype)
    here = slice(rows.start, rows.stop)
    flags = request.flags[here].copy()
    for first, galaxies in made:
        wanted = range(max(first, rows.start), first + len(galaxies.flags))
        for row in wanted:
            i = row - rows.start
            light, found = _draw_row(request, galaxies, row - first, row, spec)
            flags[i] |= found
            if light is None:
                continue
            data[i] = light
            if request.noise is not None and variance is not None:
                rng = generator(request.seed, catalog.first + row, stream=1)
                data[i], variance[i] = request.noise.add(light, rng)
        advance(len(wanted))
    positions, grid = request.positions, request.grid
    return Cutouts(
        data,
        unit=catalog.unit,
        variance=variance,
        bands=bands,
        positions=None if positions is None else positions[here],
        flags=flags,
        wcs=None if grid is None else grid[here],
        meta={"astrodlkit": provenance},
    )


def _draw_row(
    request: Request, galaxies: Galaxies, k: int, row: int, spec: TemplateSpec
) -> tuple[NDArray[np.float64] | None, int]:
    """A galaxy in all bands, None if it cannot be drawn; and what there is to say of it."""
    flags = int(galaxies.flags[k])
    if (request.flags[row] | flags) & Flag.NO_RESULT:
        return None, flags
    with np.errstate(over="ignore", invalid="ignore"):
        matrix = request.to_pixels[row] @ galaxies.to_sky[k]
        if not np.isfinite(np.linalg.det(matrix)):
            return None, flags | Flag.INVALID_SIZE | Flag.NO_RESULT
    matrix = _not_too_small(matrix)
    light = np.empty((len(request.psfs), *request.shape))
    # The template's own PSF and pixel, on the pixels of the stamp.
    own = spec.psf_fwhm
    if "psf_fwhm" in spec.conditions:
        own = float(galaxies.conditions[k, spec.conditions.index("psf_fwhm")])
    blur = np.hypot(own * spec.half_light, 1) * np.sqrt(abs(np.linalg.det(matrix)))
    for i, (plane, psf) in enumerate(
        zip(request.catalog.planes.values(), request.psfs, strict=True)
    ):
        if blur > psf.width:
            flags |= Flag.LOW_RESOLUTION
        image = galaxies.planes[k, spec.bands.index(plane)]
        if not (np.isfinite(image).all() and image.sum(dtype=np.float64) > 0):
            return None, flags | Flag.NO_RESULT
        profile = template_profile(image, spec, matrix)
        picture = draw(profile, psf, request.shape, request.shift[row])
        if picture is None:
            return None, flags | Flag.INVALID_SIZE | Flag.NO_RESULT
        if not picture.any():
            flags |= Flag.NO_OVERLAP
        light[i] = galaxies.fluxes[k, i] * picture.astype(np.float64)
    return light, flags


def _not_too_small(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """From pixels of a template to others, along no axis to less than pixels can tell."""
    left, scales, right = np.linalg.svd(matrix)
    if scales[1] >= _SMALLEST:
        return matrix
    return np.asarray(left * np.maximum(scales, _SMALLEST) @ right)


@cache
def _params() -> Any:
    # A transform of 128 pixels, GalSim's smallest, takes twice the time of most stamps; that of
    # a large one is asked before, and its size is rounded up by half at most.
    return galsim().GSParams(
        minimum_fft_size=4, maximum_fft_size=2 * _MOST, folding_threshold=_FOLDED
    )
