"""The arguments that say which stamps are wanted, read once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import NDArray

from .._flags import Flag
from .._rng import read_seed
from ..cutouts._arrays import celestial
from ..cutouts._grids import ParentGrid, TangentGrid, mean_scale, pixel_to_lonlat
from ..cutouts._sizes import read_pixel_scale, read_shape
from ..specs import TemplateSpec
from ._catalog import Catalog
from ._noise import Noise, NoiseModel
from ._place import elongation, moved, on_image, on_sky, sky_jacobian, to_pixel
from ._psf import Psf, read_psfs

__all__ = ["Request"]

# Part of the galaxies whose templates fit into the stamps if no shape is given; its limits.
_PART, _SHAPES = 0.9, (32, 256)


@dataclass(frozen=True)
class Request:
    """
    What is asked of a model.

    ``scale`` is arcseconds a pixel, ``to_pixels`` the pixels in x and y by arcsecond
    east and north, shape (n, 2, 2), ``shift`` x and y of the galaxies from the middle
    of their stamps, shape (n, 2).
    """

    catalog: Catalog
    seed: int
    scale: float
    shape: tuple[int, int]
    psfs: list[Psf]
    noise: Noise | None
    to_pixels: NDArray[np.float64]
    shift: NDArray[np.float64]
    positions: SkyCoord | None
    grid: TangentGrid | ParentGrid | None
    flags: NDArray[np.int32]

    @property
    def dtype(self) -> type:
        """Of the stamps: float32 has no room for some fluxes in some units and their variance."""
        fluxes = np.abs(np.concatenate(list(self.catalog.fluxes.values())))
        brightest = fluxes.max(initial=0, where=np.isfinite(fluxes))
        return np.float32 if not brightest or 1e-10 < brightest < 1e18 else np.float64

    @classmethod
    def read(
        cls,
        catalog: Catalog,
        spec: TemplateSpec,
        *,
        psf: Any = None,
        pixel_scale: Any = None,
        shape: Any = None,
        noise: Any = None,
        rng: Any = None,
        wcs: Any = None,
    ) -> "Request":
        """
        Read the arguments of `GalaxySimulator.simulate` that say how it is drawn.

        Parameters
        ----------
        catalog : Catalog
            What is drawn.
        spec : TemplateSpec
            Of the model.
        psf, pixel_scale, shape, noise, rng, wcs : object
            The arguments.

        Returns
        -------
        request : Request
            With everything checked.
        """
        n, bands, flags = len(catalog), tuple(catalog.planes), catalog.flags.copy()
        image = celestial(wcs, "wcs")
        positions, jacobian, scale, place = _where(catalog, pixel_scale, image, flags)
        good = np.isfinite(jacobian).all(axis=(1, 2))
        stretch = float(np.median(elongation(jacobian[good]))) if good.any() else 1.0
        psfs = read_psfs(psf, bands, scale, stretch)
        shape = _default_shape(catalog, spec, scale, psfs) if shape is None else read_shape(shape)
        shift = catalog.shift
        grid: TangentGrid | ParentGrid | None = None
        if image is not None and place is not None:
            grid, shift = on_image(image, place + shift, shape, len(bands))
        elif positions is not None:
            grid = on_sky(positions, shape, scale)
        if positions is not None:
            positions = moved(positions, catalog.shift, jacobian, image)
        if noise is not None:
            if not isinstance(noise, NoiseModel):
                raise TypeError(f"noise must be a NoiseModel or None, got {noise!r}")
            noise = noise.on(catalog.unit, scale, bands)
        inverse = np.full((n, 2, 2), np.nan)
        inverse[good] = np.linalg.inv(jacobian[good])
        return cls(
            catalog=catalog,
            seed=read_seed(rng),
            scale=scale,
            shape=shape,
            psfs=psfs,
            noise=noise,
            to_pixels=inverse,
            shift=shift,
            positions=positions,
            grid=grid,
            flags=flags,
        )


def _where(
    catalog: Catalog, pixel_scale: Any, image: WCS | None, flags: NDArray[np.int32]
) -> tuple[SkyCoord | None, NDArray[np.float64], float, NDArray[np.float64] | None]:
    """Positions on the sky, arcseconds by pixel there, their mean, and places on an image."""
    n, positions = len(catalog), catalog.positions
    if image is None:
        if pixel_scale is None:
            raise TypeError("pixel_scale is missing: give 0.2 * u.arcsec, or the wcs of an image")
        scale = read_pixel_scale(pixel_scale) * 3600
        if not isinstance(positions, SkyCoord):
            positions = None
        else:
            sky = positions.icrs
            flags[~(np.isfinite(sky.ra.deg) & np.isfinite(sky.dec.deg))] |= Flag.INVALID_POSITION
        # North up and east left, with or without a sky.
        return positions, np.tile(np.diag([-scale, scale]), (n, 1, 1)), scale, None
    if pixel_scale is not None:
        raise ValueError("pixel_scale follows from wcs: give one of the two")
    if positions is None:
        raise ValueError("wcs needs a table with positions, such as the columns 'ra' and 'dec'")
    if isinstance(positions, SkyCoord):
        x, y = to_pixel(image, positions)
    else:
        x, y = positions
        lon, lat = pixel_to_lonlat(image, x, y)
        positions = SkyCoord(lon, lat, unit=u.deg, frame=wcs_to_celestial_frame(image))
    jacobian = 3600 * sky_jacobian(image, x, y, ICRS())
    scales = mean_scale(jacobian)
    # So far out that a step of a pixel is lost in rounding there is no sky either.
    nowhere = ~(np.isfinite(scales) & (scales > 0))
    jacobian[nowhere] = np.nan
    flags[nowhere] |= Flag.INVALID_POSITION | Flag.NO_RESULT
    scales = scales[~nowhere]
    if not len(scales):
        ny, nx = image.array_shape or (1, 1)
        middle = np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2])
        scales = mean_scale(3600 * sky_jacobian(image, *middle, ICRS()))
    return positions, jacobian, float(np.median(scales)), np.column_stack([x, y])


def _default_shape(
    catalog: Catalog, spec: TemplateSpec, scale: float, psfs: list[Psf]
) -> tuple[int, int]:
    """Pixels that hold most of the templates and the width of the PSF around."""
    radii = catalog.radius[(catalog.flags & Flag.NO_RESULT) == 0]
    radius = float(np.quantile(radii, _PART)) if len(radii) else 0.0
    width = spec.side / spec.half_light * radius / scale
    width += 4 * max(psf.width for psf in psfs)
    side = int(np.clip(8 * np.ceil(width / 8), *_SHAPES))
    return side, side
