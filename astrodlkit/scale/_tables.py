"""Tables with units out of data frames that have none."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable

from .. import __version__
from .._flags import ABOUT_FLAGS
from .._optional import import_optional
from .._typing import PathLike
from ..specs import OutputSpec
from ._models import find_models

__all__ = ["to_table"]

_LOWEST = 0.68


def to_table(
    frame: Any,
    *,
    model: PathLike | list[PathLike] = "galaxyzoo2",
    units: Mapping[str, Any] | None = None,
    interval: float | None = None,
) -> QTable:
    """
    What was computed, with the units and descriptions that data frames cannot hold.

    Parameters
    ----------
    frame : `pandas.DataFrame`, n rows
        A result of `classify_cutouts` after its ``compute()``, or some of its
        columns or rows; also read back from files.
    model : str or path-like; or a list of these
        What it was computed with.
    units : dict, optional
        Units of the user's columns.
    interval : {0.68, 0.95}, optional
        What it was computed with.

    Returns
    -------
    table : `~astropy.table.QTable`, n rows
        All columns in their order, but for nested ones; those with a unit are
        `~astropy.units.Quantity`, those with missing entries are masked, and the
        index, if it has a name, comes first.

    Raises
    ------
    TypeError
        If ``frame`` is no data frame, or not computed yet.
    ValueError
        If ``units`` names a column that is not there.
    astrodlkit.exceptions.MissingDependencyError
        If the extra ``scale`` is not installed.

    See Also
    --------
    classify_cutouts : Makes such frames.

    Examples
    --------
    >>> import pandas as pd
    >>> from astrodlkit.scale import to_table
    >>> frame = pd.DataFrame({"radius": [2.5], "class_probability": [0.9]})
    >>> table = to_table(frame, units={"radius": "arcsec"})
    >>> print(table["radius"], table["class_probability"].description)
    [2.5] arcsec probability of the likeliest class
    """
    pd = import_optional("pandas", extra="scale", purpose="for data frames")
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"frame must be a pandas.DataFrame, got {type(frame).__name__}; what is lazy is "
            "computed first: frame.compute()"
        )
    unknown = [name for name in units or () if name not in frame.columns]
    if unknown:
        raise ValueError(f"units has {unknown}, but the columns are {list(frame.columns)}")
    names, cards = find_models(model)
    ours = _described(cards[0].output, interval)
    given = {name: u.Unit(unit) for name, unit in (units or {}).items()}
    if any(frame.index.names):
        frame = frame.reset_index()
    table = QTable()
    for name, values in frame.items():
        if hasattr(values.dtype, "field_dtype") or hasattr(values.dtype, "fields_dtypes"):
            continue  # nested: a table in each row
        column = _column(values)
        described = ours.get(name)
        unit = given.get(name, getattr(described, "unit", None))
        if unit is not None:
            column.unit = unit  # a QTable makes a Quantity of it
        table[str(name)] = column
        if described is not None:
            table[str(name)].info.description = described.info.description
    table.meta["astrodlkit"] = {
        "model": ", ".join(card.full_name for card in cards),
        "sha256": ", ".join(name.sha256 for name in names),
        "version": __version__,
    }
    return table


def _described(output: OutputSpec | None, interval: float | None) -> dict[str, Any]:
    """All the columns that a model may give, without rows."""
    columns: dict[str, Any] = {}
    for head in () if output is None else output.heads:
        values = np.zeros((0, len(head.labels), *([2] if head.kind == "numbers" else [])))
        spread = np.zeros((0, len(head.labels)))
        columns |= head.tabulate(values, spread, interval=interval or _LOWEST)
    if interval is None:
        for name, column in columns.items():
            if name.endswith(("_low", "_high")):
                column.info.description = None  # of which interval, nobody said
    columns["flags"] = Column([], description=ABOUT_FLAGS)
    return columns


def _column(values: Any) -> Column:
    """A column of a data frame."""
    missing = values.isna().to_numpy()
    kind = getattr(values.dtype, "kind", "O")
    if kind in "fiub" and not isinstance(values.dtype, np.dtype):
        plain = values.dtype.numpy_dtype
        filled = values.fillna(plain.type(0)) if missing.any() else values
        array = filled.to_numpy(dtype=plain)
        return MaskedColumn(array, mask=missing) if missing.any() else Column(array)
    if kind in "fiub":
        return Column(values.to_numpy())
    if kind == "M":
        return Column(values.to_numpy(dtype="datetime64[ns]"))
    array = values.to_numpy(dtype=object, na_value="")
    if all(isinstance(each, str) for each in array):
        text = array.astype(str) if len(array) else np.array([], dtype="U1")
        return MaskedColumn(text, mask=missing) if missing.any() else Column(text)
    return Column(array, dtype=object)
