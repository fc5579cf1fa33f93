"""Results too long to hold: a folder of parts, each written whole or not at all."""

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable, vstack

from .._optional import import_optional
from .._typing import PathLike, Progress
from ._progress import progress_bar

__all__ = ["MANIFEST", "TableParts", "differences", "write_durably", "write_parts"]

__doctest_requires__ = {"TableParts": ["pyarrow", "pandas"]}

MANIFEST = "_manifest.json"
"""What the parts were made from; what begins with "_" is no data to pyarrow, Dask and Spark."""


class TableParts:
    """
    A table in a folder of Parquet files, read as it is needed.

    Parameters
    ----------
    path : path-like
        The folder, which a run is writing or has written.

    Attributes
    ----------
    path : `~pathlib.Path`
        The folder.
    manifest : dict
        What the run was given: model, settings, checksums of the input.

    Raises
    ------
    FileNotFoundError
        If the folder has no manifest.
    astrodlkit.exceptions.MissingDependencyError
        If pyarrow or pandas is missing.

    See Also
    --------
    astrodlkit.classify_cutouts : Makes one with ``output=``.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.table import QTable
    >>> from astrodlkit.engine import TableParts, write_parts
    >>> folder = tempfile.mkdtemp()
    >>> def make(start, stop, advance):
    ...     return QTable({"row": range(start, stop)})
    >>> parts = write_parts(folder, {}, 5, make, part_size=2)
    >>> TableParts(folder)
    <TableParts: 5 rows, 3 of 3 parts in ...>
    >>> [len(part) for part in parts]
    [2, 2, 1]
    >>> print(parts.read()["row"].sum())
    10
    """

    def __init__(self, path: PathLike) -> None:
        _need_parquet()
        self.path = Path(path)
        try:
            self.manifest = _read_manifest(self.path / MANIFEST)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.path} is no folder of results: it has no {MANIFEST}"
            ) from None
        self._ranges = part_ranges(self.manifest["rows"], self.manifest["part_size"])

    @property
    def paths(self) -> list[Path]:
        """The files there are, in the order of the rows."""
        paths = (part_path(self.path, i) for i in range(len(self._ranges)))
        return [path for path in paths if path.exists()]

    @property
    def complete(self) -> bool:
        """Whether all parts are there."""
        return len(self.paths) == len(self._ranges)

    def __len__(self) -> int:
        there = (part_path(self.path, i).exists() for i in range(len(self._ranges)))
        return sum(
            stop - start for (start, stop), yes in zip(self._ranges, there, strict=True) if yes
        )

    def __iter__(self) -> Iterator[QTable]:
        return (QTable.read(path, format="parquet") for path in self.paths)

    def __repr__(self) -> str:
        parts = f"{len(self.paths)} of {len(self._ranges)} parts"
        return f"<{type(self).__name__}: {len(self)} rows, {parts} in {self.path}>"

    def read(self, columns: Sequence[str] | None = None) -> QTable:
        """
        All rows that are there, in memory.

        Parameters
        ----------
        columns : sequence of str, optional
            Names of the columns; by default all.

        Returns
        -------
        table : `~astropy.table.QTable`
            With units, descriptions and meta.

        Raises
        ------
        ValueError
            If there is no part yet, or no column of these names.
        """
        if isinstance(columns, str):
            columns = [columns]
        paths = self.paths
        if not paths:
            raise ValueError(f"{self.path} has no part yet")
        parts = [QTable.read(path, format="parquet", include_names=columns) for path in paths]
        # The same provenance in all parts would be merged into lists.
        table = vstack(parts, metadata_conflicts="silent")
        table.meta = parts[0].meta
        return table


def write_parts(
    folder: PathLike,
    manifest: Mapping[str, Any],
    n_rows: int,
    make: Callable[[int, int, Callable[[int], None]], QTable],
    *,
    part_size: int,
    progress: Progress = None,
    description: str = "",
) -> TableParts:
    """
    Write a table in parts, or go on where an earlier run was stopped.

    Parts hold fixed ranges of rows; each is written under another name, brought
    to the disk and renamed, so that a part is whole or not there.

    Parameters
    ----------
    folder : path-like
        Made if need be.
    manifest : dict
        All that the rows follow from, in JSON types.
    n_rows : int
        Number of rows; without rows there is one part, which says the columns.
    make : callable
        Called with ``(start, stop, advance)`` gives the table of these rows;
        ``advance`` is to be called with the number of rows just done.
    part_size : int
        Rows in a part.
    progress : bool or callable, optional
        As of `progress_bar`.
    description : str
        Text before the bar.

    Returns
    -------
    parts : TableParts
        The folder, complete.

    Raises
    ------
    ValueError
        If the folder holds results that something in the manifest says are
        others, or ``part_size`` is not positive.
    FileExistsError
        If the folder holds something else.
    OSError
        If the disk is full or the folder cannot be written.
    astrodlkit.exceptions.MissingDependencyError
        If pyarrow or pandas is missing.
    """
    _need_parquet()
    if isinstance(part_size, bool) or not isinstance(part_size, int | np.integer) or part_size < 1:
        raise ValueError(f"part_size must be a positive number of rows, got {part_size!r}")
    folder = Path(folder)
    _claim(folder, {"format": 1, "rows": n_rows, "part_size": int(part_size), **manifest})
    with progress_bar(n_rows, progress, description=description) as advance:
        for i, (start, stop) in enumerate(part_ranges(n_rows, part_size)):
            path = part_path(folder, i)
            if _has_rows(path, stop - start):
                advance(stop - start)
                continue
            table = make(start, stop, advance)
            write_durably(path, partial(_write_parquet, table))
    return TableParts(folder)


def part_ranges(n_rows: int, part_size: int) -> list[tuple[int, int]]:
    """First row and last but one of each part."""
    starts = range(0, max(n_rows, 1), part_size)
    return [(start, min(start + part_size, n_rows)) for start in starts]


def part_path(folder: Path, number: int) -> Path:
    """The file of a part."""
    return folder / f"part-{number:08d}.parquet"


def write_durably(path: Path, write: Callable[[Path], object]) -> None:
    """
    Write a file beside its place, bring it to the disk, and put it there in one step.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file; one that is there is replaced.
    write : callable
        Called with the path to write to.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write(part)
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    if os.name == "posix":
        # The name is safe only once its folder is.
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _claim(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Make the folder that of this run, or see that it is."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"output {folder} must be a folder, and is a file")
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path = folder / MANIFEST
    if path.exists():
        if words := differences(_read_manifest(path), json.loads(text)):
            raise ValueError(
                f"output {folder} holds the results of another run, which differs in {words}. "
                "Give another folder, or remove this one"
            )
    elif any(not entry.name.startswith(".") for entry in folder.iterdir()):
        raise FileExistsError(f"output {folder} is not empty and has no {MANIFEST}")
    for left in folder.glob(".*.parquet.*"):  # what a killed run was writing
        left.unlink()
    if not path.exists():
        write_durably(path, lambda part: part.write_text(text, encoding="utf-8"))


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise ValueError(
            f"{path} is damaged: {exc}; give another folder, or remove this one"
        ) from exc
    return manifest


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """
    In what two manifests differ.

    Parameters
    ----------
    there, now : dict
        What an earlier run was given, and this one.

    Returns
    -------
    words : str
        For an error; empty if they are the same.
    """
    old, new = dict(_flat(there)), dict(_flat(now))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return "; ".join(f"{name}: {old.get(name)!r} there, {new.get(name)!r} now" for name in names)


def _flat(record: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _has_rows(path: Path, rows: int) -> bool:
    """Whether a part is there and has so many rows."""
    from pyarrow import ArrowInvalid, parquet

    try:
        return parquet.read_metadata(path).num_rows == rows
    except (FileNotFoundError, ArrowInvalid):
        return False
    except OSError as exc:
        if exc.errno is not None:
            raise
        return False  # its end is damaged: the system has a number for all else


def _write_parquet(table: QTable, path: Path) -> None:
    """As astropy does it; with the same columns whether or not something is masked."""
    masked = [name for name in table.colnames if type(table[name]).__name__.startswith("Masked")]
    if not masked or not len(table):
        table.write(path, format="parquet")
        return
    from pyarrow import parquet

    # A column of the mask is only written where something is masked: in a row too many.
    longer = table[np.append(np.arange(len(table)), 0)]
    for name in masked:
        longer[name].mask[-1] = True
    longer.write(path, format="parquet")
    whole = parquet.read_table(path)
    parquet.write_table(whole.slice(0, len(table)), path, version="2.4")


def _need_parquet() -> None:
    for module in ("pyarrow", "pandas"):
        import_optional(module, extra="parquet", purpose="for results in Parquet files")
