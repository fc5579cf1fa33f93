"""The arguments that say which maps are wanted, read once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from astropy import units as u
from astropy.cosmology import FLRW
from astropy.wcs import WCS

from .. import __version__
from .._rng import read_seed
from ..metrics._maps import read_pixel_size
from ..pretrained import ModelCard
from ..specs import MapSpec
from ._domain import domain_flags, read_cosmology, read_number
from ._growth import linear_growth

__all__ = ["Request", "has_pixels", "read_grid", "wrong_pixel"]

# Part by which the pixels asked for may differ from the model's.
_TOLERANCE = 1e-3
# Means of maps between which their voids and peaks are numbers in float32.
_SCALES = 1e-35, 1e35
# Smaller maps hold next to no wave.
_LEAST = 16


@dataclass(frozen=True)
class Request:
    """
    What is asked of a model.

    ``shape`` is (ny, nx), ``box_size`` the sides (y, x) in comoving Mpc.
    """

    card: ModelCard
    spec: MapSpec
    n: int
    shape: tuple[int, int]
    box_size: tuple[float, float]
    redshift: float
    cosmology: FLRW
    sigma8: float
    seed: int
    unit: u.UnitBase

    @classmethod
    def read(
        cls,
        card: ModelCard,
        spec: MapSpec,
        n: Any,
        *,
        box_size: Any,
        redshift: Any,
        cosmology: Any,
        shape: Any,
        sigma8: Any,
        rng: Any,
        unit: Any,
    ) -> "Request":
        """
        Read the arguments of `DensityMapEmulator.sample`.

        Parameters
        ----------
        card, spec : ModelCard, MapSpec
            Of the model.
        n, box_size, redshift, cosmology, shape, sigma8, rng, unit : object
            The arguments.

        Returns
        -------
        request : Request
            With every number checked.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
            raise ValueError(f"n must be a number of maps, 0 or more, got {n!r}")
        shape, pixel = read_grid(shape, box_size, spec)
        if not has_pixels(pixel, spec):
            raise ValueError(wrong_pixel(shape, pixel, [(card.full_name, spec)]))
        redshift = read_number(redshift, "redshift")
        cosmology, sigma8 = read_cosmology(cosmology, sigma8)
        ny, nx = shape
        box_size = (pixel[0] * ny, pixel[1] * nx)
        request = cls(
            card,
            spec,
            int(n),
            shape,
            box_size,
            redshift,
            cosmology,
            sigma8,
            read_seed(rng),
            _read_unit(unit),
        )
        low, high = _SCALES
        if not low < request.scale < high:
            raise ValueError(
                f"unit={request.unit} is beyond what float32 holds: the mean of the maps is "
                f"{request.scale:.3g}; take one nearer to it, such as Msun / Mpc2"
            )
        return request

    @property
    def map_bytes(self) -> int:
        """Of each map, in float32."""
        return 4 * self.shape[0] * self.shape[1]

    @property
    def size(self) -> str:
        """What all take, in words."""
        return f"{self.n * self.map_bytes / 2**30:.4g} GiB"

    @cached_property
    def flags(self) -> dict[str, str]:
        """What the training set did not have."""
        return domain_flags(self.spec, self.cosmology, self.sigma8, self.redshift)

    @cached_property
    def conditions(self) -> tuple[float, float, float]:
        """What the network takes: Om0 today, sigma8 at the redshift, the redshift."""
        growth = linear_growth(self.cosmology, self.redshift)
        return float(self.cosmology.Om0), self.sigma8 * growth, self.redshift

    @cached_property
    def scale(self) -> float:
        """The mean of the maps in their unit."""
        if self.unit.is_equivalent(u.dimensionless_unscaled):
            return float(u.dimensionless_unscaled.to(self.unit))
        mean = self.cosmology.critical_density0 * self.cosmology.Om0
        return float((mean * self.spec.thickness * u.Mpc).to_value(self.unit))

    @property
    def wcs(self) -> WCS:
        """Comoving Mpc from the lower left corner along x and y; number of the map."""
        wcs = WCS(naxis=3)
        dy, dx = np.divide(self.box_size, self.shape)
        wcs.wcs.ctype = ["LINEAR"] * 3
        wcs.wcs.cname = ["X", "Y", "MAP"]
        wcs.wcs.cunit = ["Mpc", "Mpc", ""]
        wcs.wcs.cdelt = [dx, dy, 1]
        wcs.wcs.crpix = [1, 1, 1]
        wcs.wcs.crval = [dx / 2, dy / 2, 0]
        wcs.wcs.set()
        return wcs

    @property
    def meta(self) -> dict[str, Any]:
        """What the maps are of, and how to make them again."""
        weights = self.card.weights
        return {
            "cosmology": self.cosmology,
            "redshift": self.redshift,
            "sigma8": self.sigma8,
            "sigma8_at_redshift": self.conditions[1],
            "thickness": self.spec.thickness * u.Mpc,
            "box_size": self.box_size * u.Mpc,
            "seed": self.seed,
            "model": self.card.full_name,
            "sha256": "" if weights is None else weights.sha256,
            "version": __version__,
            "flags": self.flags,
        }


def read_grid(
    shape: Any, box_size: Any, spec: MapSpec | None = None
) -> tuple[tuple[int, int], tuple[float, float]]:
    """
    Read the arguments ``shape`` and ``box_size``.

    Parameters
    ----------
    shape, box_size : object
        The arguments.
    spec : MapSpec, optional
        Whose pixels there are if ``box_size`` is None.

    Returns
    -------
    shape : (int, int)
        Pixels (ny, nx).
    pixel : (float, float)
        Height and width of a pixel in comoving Mpc.
    """
    sides = tuple(shape) if isinstance(shape, tuple | list | np.ndarray) else ()
    if len(sides) != 2 or not all(isinstance(side, int | np.integer) for side in sides):
        raise TypeError(f"shape must be two numbers of pixels (ny, nx), got {shape!r}")
    if min(sides) < _LEAST:
        raise ValueError(f"shape must be {_LEAST} pixels or more on a side, got {shape!r}")
    ny, nx = int(sides[0]), int(sides[1])
    if box_size is None and spec is not None:
        return (ny, nx), (spec.pixel, spec.pixel)
    if isinstance(box_size, u.Quantity) and box_size.isscalar and ny != nx:
        raise ValueError(
            f"box_size={box_size} is one length, but shape={shape} is no square: give the sides "
            "(y, x), such as (500, 250) * u.Mpc"
        )
    return (ny, nx), read_pixel_size(None, (ny, nx), box_size, None)


def has_pixels(pixel: tuple[float, float], spec: MapSpec) -> bool:
    """
    Whether a model has pixels of a size.

    Parameters
    ----------
    pixel : (float, float)
        Height and width in Mpc.
    spec : MapSpec
        Of the model.

    Returns
    -------
    right : bool
        To a part in a thousand.
    """
    return max(abs(side / spec.pixel - 1) for side in pixel) <= _TOLERANCE


def wrong_pixel(
    shape: tuple[int, int], pixel: tuple[float, float], models: list[tuple[str, MapSpec]]
) -> str:
    """
    What to ask for instead.

    Parameters
    ----------
    shape : (int, int)
        The shape asked for.
    pixel : (float, float)
        Height and width of the pixels asked for, in Mpc.
    models : list of (str, MapSpec)
        Those there are.

    Returns
    -------
    message : str
        Of the error.
    """
    box = tuple(side * n for side, n in zip(pixel, shape, strict=True))
    remedies = []
    for name, spec in models:
        sides = [f"{n * spec.pixel:.6g}" for n in shape]
        size = sides[0] if sides[0] == sides[1] else f"({', '.join(sides)})"
        pixels = ", ".join(str(max(_LEAST, round(side / spec.pixel))) for side in box)
        remedies.append(
            f"{name} has pixels of {spec.pixel:.6g} Mpc: box_size={size} * u.Mpc for this shape, "
            f"shape=({pixels}) for about this box_size"
        )
    return (
        f"box_size and shape={shape} give pixels of {pixel[0]:.6g} x {pixel[1]:.6g} Mpc; "
        + "; ".join(remedies)
    )


def _read_unit(unit: Any) -> u.UnitBase:
    try:
        unit = u.Unit(unit)
    except (TypeError, ValueError) as exc:
        raise type(exc)(f"unit={unit!r} is no unit: {exc}") from exc
    logarithmic = isinstance(unit, u.function.FunctionUnitBase)
    if logarithmic or not any(unit.is_equivalent(u.Unit(each)) for each in ("", "Msun / Mpc2")):
        raise u.UnitConversionError(
            "unit must be dimensionless for 1 + delta, or one of surface density such as "
            f"Msun / Mpc2, got {unit}"
        )
    return unit
