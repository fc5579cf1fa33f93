"""What the numbers of a network mean: names and descriptions of table columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from astropy.table import Column, QTable
from astropy.units import Quantity, Unit
from numpy.typing import ArrayLike, NDArray

from ._calibration import LEVELS, Calibration
from ._record import Record

__all__ = ["Head", "OutputSpec"]

_KINDS = ("fractions", "classes", "numbers")
# Endings of columns with a width.
_WIDTHS = ("_error", "_spread")
_SPREAD = "standard deviation over views and models"


@dataclass(frozen=True, kw_only=True)
class Head(Record):
    """
    One output of a network.

    Parameters
    ----------
    name : str
        Key in the dict that the module returns.
    kind : {"fractions", "classes", "numbers"}
        ``"fractions"``: each number, between 0 and 1, becomes a column of its
        own. ``"classes"``: the numbers are the probabilities of classes that
        exclude each other; they become the name of the likeliest and its
        probability. ``"numbers"``: values with standard deviations; each value
        becomes a column of its own.
    labels : tuple of str
        Column names, or class names.
    descriptions : tuple of str
        One for each label.
    column : str
        For classes: the name of the column; the probability's is that with
        ``_probability`` appended.
    units : tuple of str
        For numbers: the unit of each label, ``""`` for none. Columns with a
        unit are `~astropy.units.Quantity`.
    calibration : Calibration, optional
        What a validation set says of the numbers; it brings columns of errors.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.specs import Head
    >>> Head(name="kind", kind="classes", labels=("star", "galaxy")).columns
    ('class', 'class_probability')
    >>> size = Head(name="size", kind="numbers", labels=("radius",), units=("arcsec",))
    >>> print(size.tabulate([[[2.5, 0.5]]])["radius"])
    [2.5] arcsec
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    descriptions: tuple[str, ...] = ()
    column: str = "class"
    units: tuple[str, ...] = ()
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"kind must be one of {_KINDS}, got {self.kind!r}")
        if isinstance(self.labels, str):
            raise TypeError(f"labels must be a sequence of names, got {self.labels!r}")
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels must be one or more different names, got {self.labels}")
        for name in ("descriptions", "units"):
            given = getattr(self, name)
            if given and len(given) != len(self.labels):
                raise ValueError(
                    f"{name} must be one for each of the {len(self.labels)} labels, "
                    f"got {len(given)}"
                )
        if self.units and self.kind != "numbers":
            raise ValueError(f"units are for numbers only, got {self.units} for {self.kind}")
        for unit in self.units:
            Unit(unit)
        if self.calibration is not None:
            self.calibration.check(self.kind, len(self.labels))

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
        head : Head
            An equal object.
        """
        if isinstance(record, Mapping) and record.get("calibration") is not None:
            calibration = Calibration.from_dict(record["calibration"])
            record = {**record, "calibration": calibration}
        return super().from_dict(record)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table columns, without those that are only there on request."""
        return self.column_names()

    def column_names(
        self, *, spread: bool = False, interval: float | None = None
    ) -> tuple[str, ...]:
        """
        Names of all the table columns.

        Parameters
        ----------
        spread : bool
            Whether `tabulate` is given a spread.
        interval : {0.68, 0.95}, optional
            What `tabulate` is given.

        Returns
        -------
        names : tuple of str
            In the order of the columns.
        """
        rows = np.zeros((0, *self._row_shape))
        spreads = np.zeros((0, len(self.labels))) if spread else None
        return tuple(self.tabulate(rows, spreads, interval=interval))

    def tabulate(
        self,
        values: ArrayLike,
        spread: ArrayLike | None = None,
        *,
        interval: float | None = None,
    ) -> dict[str, Column | Quantity]:
        """
        The columns for the network's numbers.

        Parameters
        ----------
        values : array_like, shape (n, len(labels)); of numbers (n, len(labels), 2)
            The network's numbers; a row of NaN is a row without a result. The
            two of a number are its value and its standard deviation.
        spread : array_like, shape (n, len(labels)), optional
            Standard deviation of the numbers over views and models.
        interval : {0.68, 0.95}, optional
            For fractions and numbers with a calibration: part of the truths
            that an interval covers, whose ends are in two further columns.

        Returns
        -------
        columns : dict of `~astropy.table.Column` or `~astropy.units.Quantity`
            By name, of length n, and float32 but for the class: the values;
            then, as far as they are there, ``*_error``, ``*_low`` and
            ``*_high``, ``*_spread``.
        """
        values = np.asarray(values, dtype=np.float32)
        if values.shape[1:] != self._row_shape:
            wanted = ", ".join(map(str, self._row_shape))
            raise ValueError(
                f"values of head {self.name!r} must have the shape (n, {wanted}), "
                f"got {values.shape}"
            )
        if interval is not None and interval not in LEVELS:
            raise ValueError(f"interval must be one of {LEVELS}, got {interval!r}")
        if self.kind == "classes":
            return self._tabulate_classes(values, spread)
        centres = _columns(values[..., 0] if self.kind == "numbers" else values)
        places = range(len(self.labels))
        deviations = _columns(values[..., 1]) if self.kind == "numbers" else [None for _ in places]
        descriptions = self.descriptions or ("",) * len(self.labels)
        columns = [self._column(i, "", centres[i], descriptions[i]) for i in places]
        if (calibration := self.calibration) is not None:
            widths = {
                level: [
                    calibration.half_widths(centres[i], level, i, deviations[i]) for i in places
                ]
                for level in {LEVELS[0], interval or LEVELS[0]}
            }
            text = f"half the width of the {LEVELS[0]:.0%} interval of {{}}"
            columns += [self._column(i, "_error", widths[LEVELS[0]][i], text) for i in places]
            if interval is not None:
                least, most = (0, 1) if self.kind == "fractions" else (-np.inf, np.inf)
                for end, sign in (("low", -1), ("high", 1)):
                    text = f"{end} end of the {interval:.0%} interval of {{}}"
                    columns += [
                        self._column(
                            i,
                            f"_{end}",
                            np.clip(centres[i] + sign * widths[interval][i], least, most),
                            text,
                        )
                        for i in places
                    ]
        if spread is not None:
            spread = np.asarray(spread)
            columns += [
                self._column(i, "_spread", spread[:, i], f"{{}}: {_SPREAD}") for i in places
            ]
        return {column.info.name: column for column in columns}

    @property
    def _row_shape(self) -> tuple[int, ...]:
        return (len(self.labels), 2) if self.kind == "numbers" else (len(self.labels),)

    def _column(self, i: int, suffix: str, numbers: NDArray, text: str) -> Column | Quantity:
        """One column that goes with a label."""
        label, name = self.labels[i], self.units[i] if self.units else ""
        numbers = np.asarray(numbers, dtype=np.float32)
        column: Column | Quantity = Column(numbers)
        if name:
            unit = Unit(name)
            if suffix in _WIDTHS:
                # The width of a magnitude or another logarithm is that of a ratio.
                unit = getattr(unit, "function_unit", unit)
            column = Quantity(numbers, unit, dtype=np.float32, copy=False, subok=True)
        column.info.name = label + suffix
        column.info.description = text.format(label) if suffix else text
        return column

    def _tabulate_classes(self, values: NDArray, spread: ArrayLike | None) -> dict[str, Column]:
        known = np.isfinite(values).all(axis=1)
        best = np.where(np.isfinite(values), values, 0).argmax(axis=1)
        # The last name is that of a row without a result.
        names = np.array([*self.labels, ""])[np.where(known, best, -1)]

        def of_best(numbers: NDArray) -> NDArray:
            return np.where(known, np.take_along_axis(numbers, best[:, None], axis=1)[:, 0], np.nan)

        probability = of_best(
            values if self.calibration is None else self.calibration.soften(values)
        )
        numbers = {"": (probability, "probability of the likeliest class")}
        if self.calibration is not None:
            error = self.calibration.probability_errors(probability)
            numbers["_error"] = (error, "statistical error of the probability")
        if spread is not None:
            numbers["_spread"] = (of_best(np.asarray(spread)), f"probability: {_SPREAD}")
        columns = [
            Column(names, name=self.column, description="likeliest class; empty: no result")
        ] + [
            Column(
                column.astype(np.float32),
                name=f"{self.column}_probability{suffix}",
                description=text,
            )
            for suffix, (column, text) in numbers.items()
        ]
        return {column.name: column for column in columns}


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
        """Names of the table columns in order, without those that are only there on request."""
        return self.column_names()

    def column_names(
        self, *, spread: bool = False, interval: float | None = None
    ) -> tuple[str, ...]:
        """
        Names of all the table columns.

        Parameters
        ----------
        spread : bool
            Whether the outputs have a spread.
        interval : {0.68, 0.95}, optional
            What `tabulate` is given.

        Returns
        -------
        names : tuple of str
            In the order of the columns.

        Raises
        ------
        ValueError
            If ``interval`` is another, or no head has intervals.
        """
        plain = tuple(name for head in self.heads for name in head.column_names(spread=spread))
        names = tuple(
            name
            for head in self.heads
            for name in head.column_names(spread=spread, interval=interval)
        )
        if interval is not None and names == plain:
            raise ValueError(
                f"interval must be left out, got {interval}: no head of fractions or numbers of "
                "the model has a calibration"
            )
        return names

    def tabulate(
        self, outputs: Mapping[str, ArrayLike], *, interval: float | None = None
    ) -> QTable:
        """
        The table for the network's outputs.

        Parameters
        ----------
        outputs : dict of array_like
            For each head its numbers, as `Head.tabulate` takes them; and, if
            they have one, their spread under the head's name and ``_spread``.
        interval : {0.68, 0.95}, optional
            As of `Head.tabulate`.

        Returns
        -------
        table : `~astropy.table.QTable`
            n rows; the columns have their types for n = 0 too.
        """
        table = QTable()
        for head in self.heads:
            spread = outputs.get(f"{head.name}_spread")
            columns = head.tabulate(outputs[head.name], spread, interval=interval)
            # They are new arrays: no need for copies.
            table.add_columns(list(columns.values()), names=list(columns), copy=False)
        return table


def _columns(values: NDArray) -> list[NDArray]:
    """The columns of an array, each in memory of its own, so that one can be kept by itself."""
    columns = [np.empty(len(values), values.dtype) for _ in values.T]
    # A few thousand rows at a time, which stay in the cache until they are read.
    for start in range(0, len(values), 4096):
        rows = slice(start, start + 4096)
        for column, part in zip(columns, values[rows].T, strict=True):
            column[rows] = part
    return columns
