"""The user's table with a network's answers beside its columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Column, QTable

from .._flags import ABOUT_FLAGS
from ..specs import OutputSpec
from ..specs._calibration import LEVELS
from ._stamps import CUTOUTS_META

__all__ = ["PROVENANCE", "check_clash", "join"]

PROVENANCE = "astrodlkit"
"""Key of the table's meta under which a result says where it comes from."""


def check_clash(rows: QTable, columns: Sequence[str], *, similar: bool = False) -> None:
    """
    Refuse a table whose columns have the names of the result's.

    Parameters
    ----------
    rows : `~astropy.table.QTable`
        The user's table. What an earlier run left in it will be replaced.
    columns : sequence of str
        Names of the result's columns, but for the flags of a classification.
    similar : bool
        Whether it is that of a search, and not of a classification.

    Raises
    ------
    ValueError
        If a column of the user's would be lost.
    """
    ours = tuple(columns) if similar else (*columns, "flags")
    if PROVENANCE in rows.meta and ("examples" in rows.meta[PROVENANCE]) == similar:
        ours = ()
    elif CUTOUTS_META in rows.meta:
        ours = tuple(columns)  # the flags are those of the cutouts and go on
    clash = [name for name in ours if name in rows.colnames]
    if clash:
        raise ValueError(
            f"the table has columns with the names of the result's: {clash}; rename them first, "
            f"for example table.rename_column({clash[0]!r}, 'my_{clash[0]}')"
        )


def join(
    rows: QTable,
    outputs: Mapping[str, np.ndarray],
    flags: np.ndarray,
    output: OutputSpec,
    provenance: Mapping[str, Any],
    *,
    interval: float | None = None,
) -> QTable:
    """
    Put a network's answers beside the user's columns.

    Parameters
    ----------
    rows : `~astropy.table.QTable`, length n
        The user's table, which is left alone.
    outputs : dict of `~numpy.ndarray`
        For each head its numbers, n along the first axis; NaN: no result.
    flags : `~numpy.ndarray` of int32, shape (n,)
        Row flags.
    output : OutputSpec
        What the numbers mean.
    provenance : dict
        Goes into the result's meta.
    interval : {0.68, 0.95}, optional
        As of `OutputSpec.tabulate`.

    Returns
    -------
    table : `~astropy.table.QTable`
        A copy of ``rows`` with the columns added.
    """
    result = rows.copy()
    answers = output.tabulate(outputs, interval=interval)
    answers["flags"] = Column(flags, description=ABOUT_FLAGS)
    replaced = set(answers.colnames)
    if PROVENANCE in rows.meta:
        # Spreads and intervals of an earlier run do not belong to these numbers.
        for head in output.heads:
            replaced.update(head.column_names(spread=True, interval=LEVELS[0]))
    result.remove_columns([name for name in result.colnames if name in replaced])
    # They are new arrays: no need for another copy.
    result.add_columns(list(answers.itercols()), names=answers.colnames, copy=False)
    result.meta[PROVENANCE] = dict(provenance)
    return result
