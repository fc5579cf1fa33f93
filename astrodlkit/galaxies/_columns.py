"""Columns of a catalogue: under which names, and in which units."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table
from numpy.typing import NDArray

from ..specs import nanomaggies
from ._units import check_flux_unit, is_magnitude

__all__ = ["Columns", "to_flux"]


class Columns:
    """
    A table's columns by what they mean.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    names : mapping or None
        The argument ``columns``: meaning to name.
    known : sequence of str
        The meanings that there are.
    """

    def __init__(self, table: Table, names: Mapping[str, str] | None, known: Sequence[str]) -> None:
        if not isinstance(names, Mapping | None):
            raise TypeError(
                "columns must be a mapping such as {'half_light_radius': 'Re'}, the table's names "
                f"by those that are known, got {names!r}"
            )
        self.table, self.names = table, dict(names or {})
        for meaning, name in self.names.items():
            if meaning not in known:
                raise ValueError(
                    f"columns has the key {meaning!r}; what can be named is {', '.join(known)}"
                )
            if name not in table.colnames:
                raise ValueError(
                    f"columns names {name!r} for {meaning!r}, but the table has {table.colnames}"
                )

    def __contains__(self, meaning: str) -> bool:
        return self.name(meaning) in self.table.colnames

    def name(self, meaning: str) -> str:
        """The column's name in the table, whether it is there or not."""
        return self.names.get(meaning, meaning)

    def first(self, *meanings: str) -> str:
        """The first of several meanings that has a column; an error if none has."""
        for meaning in meanings:
            if meaning in self:
                return meaning
        wanted = " or ".join(repr(self.name(meaning)) for meaning in meanings)
        raise ValueError(
            f"table has no column {wanted}, only {self.table.colnames}; if it has another name, "
            f"give columns={{{meanings[0]!r}: its name}}"
        )

    def unit(self, meaning: str) -> u.UnitBase | None:
        """The column's unit; None without one."""
        unit = getattr(self.table[self.name(meaning)], "unit", None)
        return None if unit in (None, u.dimensionless_unscaled) else u.Unit(unit)

    def values(self, meaning: str, unit: u.UnitBase | None = None) -> NDArray[np.float64]:
        """
        Numbers of a column, NaN where it is masked.

        Parameters
        ----------
        meaning : str
            Which.
        unit : `~astropy.units.UnitBase`, optional
            To convert to; a column without a unit is taken to have it.

        Returns
        -------
        values : ndarray, shape (n, ...)
            A copy.
        """
        values, given = self._numbers(meaning), self.unit(meaning)
        if meaning != "latent" and values.ndim != 1:
            raise ValueError(
                f"column {self.name(meaning)!r} must have one number a row, its shape is "
                f"{values.shape}"
            )
        if given is None:
            return values
        try:
            return np.asarray(given.to(unit or u.dimensionless_unscaled, values))
        except u.UnitConversionError as exc:
            wanted = "be plain numbers" if unit is None else f"have a unit like {unit}"
            raise u.UnitConversionError(
                f"column {self.name(meaning)!r} must {wanted}, its unit is {given}"
            ) from exc

    def missing(self, meaning: str) -> NDArray[np.bool_]:
        """Where a column of numbers is masked or NaN, shape (n, ...)."""
        return np.isnan(self._numbers(meaning))

    def _numbers(self, meaning: str) -> NDArray[np.float64]:
        """Numbers as they are; NaN where masked."""
        column = self.table[self.name(meaning)]
        plain = getattr(column, "unmasked", column)
        values = np.ma.getdata(np.asarray(getattr(plain, "value", plain)))
        if values.dtype.kind == "O":
            values = _plain(values)
        if values.dtype.kind not in "fiub":
            raise TypeError(f"column {self.name(meaning)!r} must hold numbers, not {values.dtype}")
        values = values.astype(np.float64)
        values[np.broadcast_to(getattr(column, "mask", False), values.shape)] = np.nan
        return values

    def texts(self, meaning: str) -> NDArray[np.str_]:
        """Texts of a column, without spaces around; empty where it is masked, None or NaN."""
        column = self.table[self.name(meaning)]
        values = np.ma.getdata(np.asarray(column))
        unknown = values.dtype.kind == "f" and np.isnan(values).all()
        if (values.dtype.kind not in "OSU" and not unknown) or values.ndim != 1:
            raise TypeError(f"column {self.name(meaning)!r} must hold texts, not {values.dtype}")
        if values.dtype.kind == "S":
            values = np.char.decode(values)
        texts = ["" if _is_missing(each) else _text(each) for each in values.tolist()]
        values = np.array(texts, dtype=np.str_)
        values[np.broadcast_to(getattr(column, "mask", False), values.shape)] = ""
        return values

    def flux(self, meaning: str, unit: u.UnitBase, zero_point: float | None) -> NDArray[np.float64]:
        """
        Fluxes of a column of fluxes or of AB magnitudes.

        Parameters
        ----------
        meaning : str
            Which; magnitudes have ``mag`` in it.
        unit : `~astropy.units.UnitBase`
            Of the result.
        zero_point : float or None
            AB magnitude of one count, if the unit is one of counts.

        Returns
        -------
        flux : ndarray, shape (n,)
            In ``unit``.
        """
        name, given = self.name(meaning), self.unit(meaning)
        numbers = self._numbers(meaning)
        if numbers.ndim != 1:
            raise ValueError(
                f"column {name!r} must have one number a row, its shape is {numbers.shape}"
            )
        if meaning.startswith(("mag", "absolute_mag")):
            if given is not None and not is_magnitude(given):
                raise u.UnitConversionError(
                    f"column {name!r} must hold AB magnitudes (plain, mag or u.ABmag), "
                    f"its unit is {given}"
                )
        elif given is None or given == u.mag:
            what = "no unit" if given is None else "the unit mag"
            raise TypeError(
                f"column {name!r} has {what}: table[{name!r}].unit = u.nJy, or u.adu for counts "
                "(magnitudes are to be named 'mag')"
            )
        elif given != u.ABmag:
            check_flux_unit(given, f"the unit of column {name!r}")
            return numbers * _factor(name, given, unit, zero_point)
        # Beyond the largest number it is infinite, and the row has a flag.
        with np.errstate(over="ignore"):
            return np.asarray(to_flux(10 ** (-0.4 * numbers), unit, zero_point))


def to_flux(ratio: Any, unit: u.UnitBase, zero_point: float | None) -> Any:
    """
    Fluxes in a unit.

    Parameters
    ----------
    ratio : float or ndarray
        Fluxes in units of that of AB magnitude 0.
    unit : `~astropy.units.UnitBase`
        Of flux, or with ``zero_point`` of counts.
    zero_point : float or None
        AB magnitude of one count.

    Returns
    -------
    flux : float or ndarray
        In ``unit``.
    """
    known = nanomaggies(unit)
    if known is not None:
        return ratio * 1e9 / known[0]
    if zero_point is None:
        raise ValueError(
            f"fluxes and magnitudes cannot be had in {unit} without a zero point: give "
            "zero_point=25.0, the AB magnitude of a flux of 1"
        )
    return ratio * 10 ** (0.4 * zero_point)


def _factor(name: str, given: u.UnitBase, unit: u.UnitBase, zero_point: float | None) -> float:
    """From one unit of flux to another."""
    if given == unit:
        return 1.0
    known = nanomaggies(given)
    if known is not None and not known[1]:
        return float(to_flux(known[0] * 1e-9, unit, zero_point))
    if known is None:
        try:
            return float(given.to(unit))
        except u.UnitConversionError:
            if zero_point is not None and nanomaggies(unit) is not None:
                return float(to_flux(10 ** (-0.4 * zero_point), unit, None))
    raise u.UnitConversionError(f"column {name!r} is in {given}, which cannot be had in {unit}")


def _is_missing(value: Any) -> bool:
    """Whether this is what stands for no value: None, NaN, masked, or pandas' NA."""
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _text(value: Any) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()


def _plain(values: NDArray) -> NDArray:
    """Objects as numbers, NaN where there is none; as they are if they are something else."""
    numbers = [np.nan if _is_missing(each) else each for each in values.ravel().tolist()]
    if not all(isinstance(each, Real | np.bool_) for each in numbers):
        return values
    return np.array(numbers, np.float64).reshape(values.shape)
