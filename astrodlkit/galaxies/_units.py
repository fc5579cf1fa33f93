"""Units of fluxes, and the magnitude of a count."""

from numbers import Real
from typing import Any

import numpy as np
from astropy import units as u

from ..specs import nanomaggies

__all__ = ["check_flux_unit", "is_magnitude", "read_flux_unit", "read_zero_point"]

_COUNTS = (u.adu, u.DN, u.count, u.electron, u.photon)


def is_magnitude(unit: Any) -> bool:
    """Whether a unit is one of AB magnitudes, or of magnitudes that do not say which."""
    return unit in (u.mag, u.ABmag)


def check_flux_unit(unit: u.UnitBase, what: str) -> None:
    """
    See that a unit is one of fluxes or of counts.

    Parameters
    ----------
    unit : `~astropy.units.UnitBase`
        The unit.
    what : str
        What has it, for the message.
    """
    try:
        known = None if isinstance(unit, u.function.FunctionUnitBase) else nanomaggies(unit)
    except ValueError as exc:
        raise u.UnitConversionError(
            f"{what} is in {unit}, a flux per wavelength: convert it to one per frequency, such as "
            "nJy, with astropy.units.spectral_density"
        ) from exc
    if known is not None and known[1]:
        raise u.UnitConversionError(
            f"{what} must be one of flux, not of surface brightness: {unit}"
        )
    if known is None and not _is_counts(unit):
        raise u.UnitConversionError(
            f"{what} must be one of flux density, such as nJy, or of counts (adu, DN, ct, "
            f"electron, also per second), got {unit}"
        )


def read_flux_unit(unit: Any) -> u.UnitBase:
    """
    Read the argument ``unit``.

    Parameters
    ----------
    unit : object
        The argument, not None.

    Returns
    -------
    unit : `~astropy.units.UnitBase`
        Of fluxes or counts.
    """
    try:
        read = u.Unit(unit)
    except (TypeError, ValueError) as exc:
        raise type(exc)(f"unit must be a unit such as u.nJy or 'adu', got {unit!r}") from exc
    check_flux_unit(read, "unit")
    return read


def read_zero_point(zero_point: Any) -> float | None:
    """
    Read the argument ``zero_point``.

    Parameters
    ----------
    zero_point : float or `~astropy.units.Quantity` or None
        The argument.

    Returns
    -------
    zero_point : float or None
        AB magnitude of one count.
    """
    if zero_point is None:
        return None
    value = zero_point
    if isinstance(zero_point, u.Quantity):
        if not is_magnitude(zero_point.unit):
            raise u.UnitConversionError(
                f"zero_point must be an AB magnitude (plain, mag or u.ABmag), got {zero_point}"
            )
        value = zero_point.value
    value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"zero_point must be a number, an AB magnitude, got {zero_point!r}")
    if not np.isfinite(float(value)):
        raise ValueError(f"zero_point must be an AB magnitude, got {zero_point!r}")
    return float(value)


def _is_counts(unit: u.UnitBase) -> bool:
    """Whether a unit is a number of something that is counted, in all or per second."""
    if isinstance(unit, u.function.FunctionUnitBase):
        return False
    counted = (u.dimensionless_unscaled, *_COUNTS)
    return any(unit.is_equivalent(each / time) for each in counted for time in (u.one, u.s))
