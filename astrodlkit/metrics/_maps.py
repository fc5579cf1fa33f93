"""What the maps and lengths that users give mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.nddata import NDData
from numpy.typing import NDArray

from ._values import in_unit, stacked

__all__ = ["Maps", "read_maps", "read_pixel_size"]


@dataclass(frozen=True)
class Maps:
    """
    Maps that are read one at a time, so that a file of many needs little memory.

    ``values`` is an array or a data set of a file, shape ``(*batch, ny, nx)``;
    ``name`` is that of the argument.
    """

    values: Any
    unit: u.UnitBase
    name: str = "maps"

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch, () for a single map."""
        return tuple(self.values.shape[:-2])

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (ny, nx) of each map."""
        ny, nx = self.values.shape[-2:]
        return int(ny), int(nx)

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        return (self[index] for index in np.ndindex(self.batch))

    def __getitem__(self, index: tuple[int, ...]) -> NDArray[np.float64]:
        map_ = np.asarray(self.values[index])
        if map_.dtype.kind not in "fiub":
            raise TypeError(f"{self.name} must be real numbers, got the dtype {map_.dtype}")
        map_ = map_.astype(np.float64)
        bad = np.count_nonzero(~np.isfinite(map_))
        if bad:
            which = f" in map {', '.join(map(str, index))}" if index else ""
            raise ValueError(
                f"{self.name} must be finite, got {bad} pixels that are NaN or infinite{which}; "
                "fill them first"
            )
        return map_


def read_maps(maps: Any, name: str = "maps") -> Maps:
    """
    Read the argument ``maps``.

    Parameters
    ----------
    maps : array_like, `~astropy.units.Quantity` or `~astropy.nddata.NDData`
        The argument.
    name : str
        Its name.

    Returns
    -------
    maps : Maps
        Values and unit.
    """
    maps = stacked(maps)
    if any(hasattr(each, "mask") for each in (maps if isinstance(maps, list | tuple) else ())):
        raise TypeError(
            f"{name} is a list of maps with masks: stack them first, as numpy.ma.stack does, or "
            "u.Quantity of the data of each"
        )
    mask: Any = getattr(maps, "mask", None)
    masked = np.count_nonzero(mask)
    if masked:
        raise ValueError(f"{name} has {masked} masked pixels: periodic maps are whole; fill them")
    unit: Any = getattr(maps, "unit", None) or u.dimensionless_unscaled
    if isinstance(unit, u.function.FunctionUnitBase):
        raise u.UnitTypeError(f"{name} must have linear units, got {unit}: give {name}.physical")
    if isinstance(maps, NDData):
        values = maps.data
    else:
        values = getattr(getattr(maps, "unmasked", maps), "value", maps)
    if not hasattr(values, "shape"):
        values = np.asarray(values)
    if len(values.shape) < 2 or min(values.shape[-2:]) < 3:
        raise ValueError(
            f"{name} must have the shape (..., ny, nx) with 3 pixels or more on a side, "
            f"got {tuple(values.shape)}"
        )
    return Maps(values, unit, name)


def read_pixel_size(
    maps: Any,
    shape: tuple[int, int],
    box_size: u.Quantity | None,
    pixel_size: u.Quantity | None,
) -> tuple[float, float]:
    """
    Read the arguments ``box_size`` and ``pixel_size``.

    Parameters
    ----------
    maps : object
        The argument ``maps``, whose WCS is asked where no size is given.
    shape : (int, int)
        Pixels (ny, nx) of a map.
    box_size, pixel_size : `~astropy.units.Quantity` or None
        The arguments.

    Returns
    -------
    pixel_size : (float, float)
        Height and width of a pixel in Mpc.
    """
    if box_size is not None and pixel_size is not None:
        raise TypeError("box_size and pixel_size say the same thing: give one of them")
    if pixel_size is not None:
        dy, dx = np.broadcast_to(_read_length(pixel_size, "pixel_size"), 2).tolist()
        return dy, dx
    if box_size is not None:
        length = _read_length(box_size, "box_size")
        if length.ndim == 0 and shape[0] != shape[1]:
            raise ValueError(
                f"box_size={box_size} is one length, but the maps have {shape} pixels; "
                "give it as (y, x), or give pixel_size"
            )
        dy, dx = (length / shape).tolist()
        return dy, dx
    wcs = getattr(maps, "wcs", None)
    if wcs is None:
        raise TypeError(
            "box_size or pixel_size is needed where maps has no WCS: write box_size=500 * u.Mpc"
        )
    wcs = wcs.low_level_wcs
    units = [u.Unit(unit) for unit in wcs.world_axis_units]
    scales = np.array([unit.to(u.Mpc) if unit.is_equivalent(u.Mpc) else 0.0 for unit in units])
    # The origin and its neighbours along y and x, in world coordinates.
    pixels = np.zeros((wcs.pixel_n_dim, 3))
    pixels[1, 1] = pixels[0, 2] = 1
    world = np.array(wcs.pixel_to_world_values(*pixels)) * scales[:, np.newaxis]
    dy, dx = np.hypot.reduce(world[:, 1:] - world[:, :1], axis=0).tolist()
    if not (dy > 0 and dx > 0):
        raise u.UnitConversionError(
            f"the WCS of maps must have lengths along y and x, got the units {units}; "
            "give box_size or pixel_size in comoving Mpc"
        )
    return dy, dx


def _read_length(length: Any, name: str) -> NDArray[np.float64]:
    """Read a length, or two along (y, x), in Mpc."""
    length = stacked(length)
    if not isinstance(length, u.Quantity):
        raise TypeError(f"{name}={length!r} has no unit; write {name}={length!r} * u.Mpc")
    values = in_unit(length, u.Mpc, name)
    if values.shape not in ((), (2,)) or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"{name} must be one positive length or (y, x), got {length}")
    return values
