"""What a catalogue says of the morphology, as the probabilities of five classes."""

import numpy as np
from numpy.typing import NDArray

from ._columns import Columns

__all__ = ["VOTES", "read_classes"]

PREFIX = "class_"
"""Of the conditions that are probabilities of classes."""

VOTES = {
    "completely_round": "t07_rounded_a16_completely_round",
    "in_between": "t07_rounded_a17_in_between",
    "cigar_shaped": "t07_rounded_a18_cigar_shaped",
    "edge_on": "t02_edgeon_a04_yes",
    "spiral": "t04_spiral_a08_spiral",
}
"""The vote of Galaxy Zoo 2 that makes each class (Willett et al. 2013, MNRAS, 435, 2835)."""


def read_classes(columns: Columns, conditions: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    """
    Probabilities of classes from a column of each, of names, or from votes.

    Parameters
    ----------
    columns : Columns
        Of the catalogue.
    conditions : tuple of str
        The model's; those of classes are ``class_`` and the name.

    Returns
    -------
    probabilities : dict of ndarray, shape (n,)
        By condition; NaN where nothing is known. Empty if no column says anything.
    """
    wanted = {name: name.removeprefix(PREFIX) for name in conditions if name.startswith(PREFIX)}
    if not wanted or any(name in columns for name in wanted):
        return {}
    if "class" in columns:
        given = columns.texts("class")
        unknown = sorted(set(given.tolist()) - {*wanted.values(), ""})
        if unknown:
            raise ValueError(
                f"column {columns.name('class')!r} has {unknown}; the classes are "
                f"{', '.join(wanted.values())}, and '' where it is not known"
            )
        return {name: np.where(given == "", np.nan, given == kind) for name, kind in wanted.items()}
    votes = {name: VOTES.get(kind, "") for name, kind in wanted.items()}
    if not all(vote in columns for vote in votes.values()):
        return {}
    numbers = np.stack([columns.values(vote) for vote in votes.values()])
    total = numbers.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        numbers = np.where(total > 0, numbers / total, np.nan)
    return dict(zip(votes, numbers, strict=True))
