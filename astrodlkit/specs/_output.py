"""What the numbers of a network mean: names and descriptions of table columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from astropy.table import Column, QTable

from ._record import Record

__all__ = ["Head", "OutputSpec"]

_KINDS = ("fractions", "classes")


@dataclass(frozen=True, kw_only=True)
class Head(Record):
    """
    One output of a network.

    Parameters
    ----------
    name : str
        Key in the dict that the module returns.
    kind : {"fractions", "classes"}
        ``"fractions"``: each number becomes a column of its own.
        ``"classes"``: the numbers are the probabilities of classes that
        exclude each other; they become the name of the likeliest and its
        probability.
    labels : tuple of str
        Column names, or class names.
    descriptions : tuple of str
        One for each label.
    column : str
        For classes: the name of the column; the probability's is that with
        ``_probability`` appended.

    Examples
    --------
    >>> from astrodlkit.specs import Head
    >>> Head(name="kind", kind="classes", labels=("star", "galaxy")).columns
    ('class', 'class_probability')
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    descriptions: tuple[str, ...] = ()
    column: str = "class"

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"kind must be one of {_KINDS}, got {self.kind!r}")
        if isinstance(self.labels, str):
            raise TypeError(f"labels must be a sequence of names, got {self.labels!r}")
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels must be one or more different names, got {self.labels}")
        if self.descriptions and len(self.descriptions) != len(self.labels):
            raise ValueError(
                f"descriptions must be one for each of the {len(self.labels)} labels, "
                f"got {len(self.descriptions)}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table columns."""
        if self.kind == "fractions":
            return self.labels
        return (self.column, f"{self.column}_probability")

    def tabulate(self, values: np.ndarray) -> dict[str, Column]:
        """
        The columns for the network's numbers.

        Parameters
        ----------
        values : `~numpy.ndarray`, shape (n, len(labels))
            The network's numbers; a row of NaN is a row without a result.

        Returns
        -------
        columns : dict of `~astropy.table.Column`
            One for each name in `columns`, of length n.
        """
        values = np.asarray(values, dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != len(self.labels):
            raise ValueError(
                f"values of head {self.name!r} must have the shape (n, {len(self.labels)}), "
                f"got {values.shape}"
            )
        descriptions = self.descriptions or ("",) * len(self.labels)
        if self.kind == "fractions":
            return {
                label: Column(values[:, i].copy(), name=label, description=descriptions[i])
                for i, label in enumerate(self.labels)
            }
        known = np.isfinite(values).all(axis=1)
        best = np.where(known, np.where(np.isfinite(values), values, 0).argmax(axis=1), -1)
        # The last name is that of a row without a result.
        names = np.array([*self.labels, ""])[best]
        probability = np.where(known, np.where(known[:, None], values, 0).max(axis=1), np.nan)
        name, name_probability = self.columns
        return {
            name: Column(names, name=name, description="likeliest class; empty: no result"),
            name_probability: Column(
                probability.astype(np.float32),
                name=name_probability,
                description="probability of the likeliest class",
            ),
        }


@dataclass(frozen=True, kw_only=True)
class OutputSpec(Record):
    """
    All the outputs of a network.

    Parameters
    ----------
    heads : tuple of Head
        In the order of the columns.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.specs import Head, OutputSpec
    >>> output = OutputSpec(heads=(
    ...     Head(name="kind", kind="classes", labels=("star", "galaxy")),))
    >>> table = output.tabulate({"kind": np.array([[0.25, 0.75]])})
    >>> print(table["class"][0], table["class_probability"][0])
    galaxy 0.75
    """

    heads: tuple[Head, ...]

    def __post_init__(self) -> None:
        columns = self.columns
        if len(set(columns)) != len(columns):
            raise ValueError(f"heads must give different columns, got {columns}")

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """
        The object from its JSON form.

        Parameters
        ----------
        record : dict
            What `to_dict` gave.

        Returns
        -------
        output : OutputSpec
            An equal object.
        """
        heads = tuple(Head.from_dict(head) for head in record.get("heads", ()))
        return super().from_dict({**record, "heads": heads})

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all the table columns, in order."""
        return tuple(column for head in self.heads for column in head.columns)

    def tabulate(self, outputs: Mapping[str, np.ndarray]) -> QTable:
        """
        The table for the network's outputs.

        Parameters
        ----------
        outputs : dict of `~numpy.ndarray`
            For each head its numbers, shape (n, len(labels)).

        Returns
        -------
        table : `~astropy.table.QTable`
            n rows; the columns have their types for n = 0 too.
        """
        table = QTable()
        for head in self.heads:
            for name, column in head.tabulate(outputs[head.name]).items():
                table[name] = column
        return table
