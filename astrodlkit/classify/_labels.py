"""What a user calls labels, as heads of a network and arrays to learn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from astropy.table import QTable
from numpy.typing import NDArray

from ..specs import Head

__all__ = ["Labels", "read_labels"]

# Names of the head and of its columns for labels that have none.
_NAMES = {"classes": "class", "fractions": "fraction", "numbers": "number"}
# Columns that a result has whatever was learned, and endings of those beside a label's.
_TAKEN = ("flags", "novelty")
_BESIDE = ("_error", "_low", "_high", "_spread")


@dataclass(frozen=True)
class Labels:
    """
    The labels of one head.

    Parameters
    ----------
    head : Head
        What they mean.
    values : `~numpy.ndarray`, n along the first axis
        Classes: int64, shape (n,), -1 where missing. Fractions and numbers:
        float32, shape (n, k), NaN where missing.
    """

    head: Head
    values: NDArray

    @property
    def known(self) -> NDArray[np.bool_]:
        """Rows that have a label, shape (n,)."""
        if self.head.kind == "classes":
            return self.values >= 0
        return np.isfinite(self.values).all(axis=1)

    @property
    def truth(self) -> NDArray:
        """What a network should answer: of votes, or of fractions of a part, their shares."""
        if self.head.kind != "fractions":
            return self.values
        return self.values / self.values.sum(axis=1, keepdims=True)

    def check(self, rows: NDArray[np.bool_], where: str, least: int = 2) -> None:
        """
        Refuse labels from which nothing can be learned.

        Parameters
        ----------
        rows : `~numpy.ndarray` of bool, shape (n,)
            Rows that count.
        where : str
            Which rows these are, for the message.
        least : int
            Rows that each class must have.

        Raises
        ------
        ValueError
            If less than two rows are known, a class has too few, or all
            labels are the same.
        """
        values, what = self.values[rows & self.known], f"labels {self.head.name!r}"
        if len(values) < 2:
            raise ValueError(f"{what}: two or more {where} must have a label, got {len(values)}")
        if self.head.kind == "classes":
            numbers = np.bincount(values, minlength=len(self.head.labels)).tolist()
            few = {name: n for name, n in zip(self.head.labels, numbers, strict=True) if n < least}
            if few:
                raise ValueError(
                    f"{what}: every class needs {least} or more {where}, got {few}; join small "
                    "classes with others, or empty their labels"
                )
        elif (values == values[0]).all():
            raise ValueError(f"{what}: all {where} have the same label, {values[0].tolist()}")


def read_labels(labels: Any, table: QTable, n: int) -> tuple[Labels, ...]:
    """
    Heads and arrays from a user's labels.

    Parameters
    ----------
    labels : str, list of str, array_like or dict
        As of `CutoutClassifier.fine_tune`.
    table : `~astropy.table.QTable`
        The user's columns.
    n : int
        Number of rows.

    Returns
    -------
    labels : tuple of Labels
        One for each head.

    Raises
    ------
    TypeError, ValueError
        If they are none, or not one for each row.
    """
    if not isinstance(labels, Mapping):
        labels = {None: labels}
    elif not labels:
        raise ValueError("labels must not be an empty dict")
    else:
        for name in labels:
            if not isinstance(name, str) or not name:
                raise TypeError(f"keys of labels must be names, got {name!r}")
    found = tuple(_one(values, table, n, name) for name, values in labels.items())
    _check_columns(found)
    return found


def _check_columns(labels: tuple[Labels, ...]) -> None:
    """Refuse names that a result needs itself, now and not after the training."""
    columns = {name for each in labels for name in each.head.columns}
    names = columns | {each.head.name for each in labels}
    taken = names & {*_TAKEN, *(name + ending for name in columns for ending in _BESIDE)}
    if taken:
        raise ValueError(
            f"labels must have other names than {sorted(taken)}, which are those of a result's "
            "own columns"
        )


def _one(labels: Any, table: QTable, n: int, name: str | None) -> Labels:
    if isinstance(labels, str):
        if labels not in table.colnames:
            raise ValueError(
                f"labels names no column of the table: got {labels!r}, there are {table.colnames}"
            )
        # Its own name would clash where the result is joined to the same table.
        return _parsed(table[labels], n, name or f"predicted_{labels}", labels)
    if _names_columns(labels, table):
        columns = [_numbers(table[column], column) for column in labels]
        if len(columns) < 2 or any(column.ndim != 1 for column in columns):
            raise ValueError(
                f"labels must name two or more columns of fractions or votes, got {list(labels)}"
            )
        names = tuple(f"predicted_{column}" for column in labels)
        return _fractions(np.stack(columns, axis=1), name or "fractions", names)
    return _parsed(labels, n, name, "labels" if name is None else f"labels[{name!r}]")


def _names_columns(labels: Any, table: QTable) -> bool:
    return (
        isinstance(labels, list | tuple)
        and len(labels) > 0
        and all(isinstance(label, str) and label in table.colnames for label in labels)
        # Those of classes come again and again.
        and len(set(labels)) == len(labels)
    )


def _parsed(values: Any, n: int, name: str | None, what: str) -> Labels:
    """The labels of one head from one array; its kind follows from its type."""
    unit = getattr(values, "unit", None)
    array, masked = _plain(values)
    if len(array.shape) == 0 or len(array) != n:
        raise ValueError(
            f"{what} must have one entry for each of the {n} rows, got the shape {array.shape}"
        )
    if array.ndim > 2:
        raise ValueError(f"{what} must have the shape (n,) or (n, k), got {array.shape}")
    if array.dtype.kind == "O":
        array, masked = _objects(array, masked, what)
    if array.dtype.kind in "US" and array.ndim == 1:
        # Files give UTF-8, of which numpy's own conversion knows the ASCII alone.
        names = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
        return _classes(np.where(masked, "", names), name, what)
    numbers = np.where(masked, np.nan, _numbers(array, what))
    if array.ndim == 2:
        name = name or _NAMES["fractions"]
        return _fractions(numbers, name, tuple(f"{name}_{i}" for i in range(array.shape[1])))
    name = name or _NAMES["numbers"]
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)[:, None]
    if (np.abs(numbers) > np.finfo(np.float32).max).any():
        raise ValueError(
            f"{what} go up to {np.nanmax(np.abs(numbers)):.3g}, more than a float32 holds: give "
            "them in another unit, or their logarithms"
        )
    units = () if unit is None else (str(unit),)
    head = Head(name=name, kind="numbers", labels=(name,), units=units)
    return Labels(head, numbers.astype(np.float32))


def _plain(values: Any) -> tuple[NDArray, NDArray[np.bool_]]:
    """The values without unit and mask, and where they are masked."""
    mask = getattr(values, "mask", None)
    values = getattr(values, "unmasked", values)
    values = getattr(values, "value", values)
    try:
        array = np.asarray(values.data if isinstance(values, np.ma.MaskedArray) else values)
    except ValueError as exc:
        raise ValueError(f"labels must be an array: {exc}") from exc
    if mask is None or callable(mask):  # that of pandas is a method
        mask = False
    return array, np.broadcast_to(mask, array.shape)


def _objects(
    array: NDArray, masked: NDArray[np.bool_], what: str
) -> tuple[NDArray, NDArray[np.bool_]]:
    """An array of objects as one of strings or of numbers."""
    flat = array.ravel()
    missing = np.array([_is_missing(x) for x in flat], dtype=bool)
    missing = missing.reshape(array.shape) | masked
    present = array[~missing]
    if all(isinstance(x, str | bytes) for x in present):
        known: Any = [x.decode() if isinstance(x, bytes) else x for x in present]
        new = np.full(array.shape, "", dtype=f"<U{max(map(len, known), default=1)}")
    elif all(isinstance(x, Real) for x in present):
        known, new = present, np.full(array.shape, np.nan)
    else:
        kinds = sorted({type(x).__name__ for x in present})
        raise TypeError(f"{what} must hold names or numbers, or None; got objects of {kinds}")
    new[~missing] = known
    return new, missing


def _is_missing(x: Any) -> bool:
    """Whether it is None, masked, NaN, or the NA of pandas, which is equal to nothing."""
    return x is None or x is np.ma.masked or type(x).__name__ == "NAType" or x != x  # noqa: PLR0124


def _numbers(values: Any, what: str) -> NDArray[np.float64]:
    array, masked = _plain(values)
    if array.dtype.kind == "O":
        array, masked = _objects(array, masked, what)
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"{what} must hold names of classes (text), numbers, or in two dimensions fractions "
            f"or votes, got {array.dtype}" + (" (use .astype(str))" if array.dtype == bool else "")
        )
    return np.where(masked, np.nan, array.astype(float))


def _classes(names: NDArray, name: str | None, what: str) -> Labels:
    names = np.char.strip(names)
    classes, index = np.unique(names, return_inverse=True)
    values = index - int(len(classes) > 0 and classes[0] == "")
    found = tuple(str(x) for x in classes if x)
    if len(found) < 2:
        raise ValueError(f"{what} must hold two or more classes, got {list(found)}")
    name = name or _NAMES["classes"]
    head = Head(name=name, kind="classes", labels=found, column=name)
    return Labels(head, values.astype(np.int64))


def _fractions(votes: NDArray[np.float64], name: str, columns: tuple[str, ...]) -> Labels:
    if len(columns) < 2:
        raise ValueError(f"labels {name!r} must have two or more answers, got {len(columns)}")
    bad = ~(np.isfinite(votes) & (votes >= 0)).all(axis=1) | (votes.sum(axis=1) == 0)
    values = np.where(bad[:, None], np.nan, votes).astype(np.float32)
    return Labels(Head(name=name, kind="fractions", labels=columns), values)
