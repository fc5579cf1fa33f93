"""Units of pixels as fluxes on the AB system."""

from functools import lru_cache

import astropy.units as u

__all__ = ["nanomaggies"]


def nanomaggies(unit: u.UnitBase | None) -> tuple[float, bool] | None:
    """
    Factor from a unit to nanomaggies on the AB system.

    Parameters
    ----------
    unit : `~astropy.units.UnitBase` or None
        Unit of an image's pixels.

    Returns
    -------
    factor, per_area : float, bool
        The factor to nmgy, or to nmgy per square arcsecond for a surface
        brightness; None for units without a flux in them.

    Raises
    ------
    ValueError
        For a flux per wavelength, which needs the band's wavelength first; and
        for magnitudes and other logarithms of a flux.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astrodlkit.specs import nanomaggies
    >>> nanomaggies(u.nmgy / u.arcsec**2)
    (1.0, True)
    """
    return None if unit is None else _nanomaggies(unit)


# Astropy takes milliseconds for it, and every chunk of rows has the same unit.
@lru_cache
def _nanomaggies(unit: u.UnitBase) -> tuple[float, bool] | None:
    if hasattr(unit, "physical_unit"):
        raise ValueError(
            f"data in {unit} are logarithms; convert them to a flux first, for example to "
            f"{unit.physical_unit}"
        )
    per_pixel = unit * u.pix if u.pix in getattr(unit, "bases", ()) else unit
    for candidate, per_area in ((per_pixel, False), (unit * u.arcsec**2, True)):
        try:
            factor = candidate.to(u.nmgy, equivalencies=u.zero_point_flux(3631 * u.Jy))
        except u.UnitConversionError:
            continue
        return float(factor), per_area
    for candidate in (per_pixel, unit * u.arcsec**2):
        if candidate.physical_type == "spectral flux density wav":
            raise ValueError(
                f"data in {unit} are a flux per wavelength; convert them to a flux per frequency "
                "(for example with astropy.units.spectral_density) first"
            )
    return None
