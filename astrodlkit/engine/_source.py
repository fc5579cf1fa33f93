"""Rows of a table that may be larger than the memory."""

from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from .._optional import import_optional
from .._typing import PathLike
from ..cutouts import Cutouts, read_table
from ._fingerprint import fingerprint

__all__ = ["MemoryRows", "ParquetRows", "open_rows"]

_BATCH = 16384
_BUFFER = 2**16  # bytes of a column's pages that are read at a time


def open_rows(table: Any) -> "MemoryRows | ParquetRows":
    """
    Rows of whatever the user holds.

    Parameters
    ----------
    table : path-like, table-like, `~astropy.coordinates.SkyCoord` or `~astrodlkit.Cutouts`
        The path of a Parquet file, or of a folder of them, is read piece by
        piece.

    Returns
    -------
    rows : MemoryRows or ParquetRows
        With a length, ``read(start, stop)`` and ``fingerprint()``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If ``table`` is no table.
    """
    return ParquetRows(table) if isinstance(table, str | Path) else MemoryRows(table)


class MemoryRows:
    """
    Rows that are in memory.

    Parameters
    ----------
    table : table-like, `~astropy.coordinates.SkyCoord` or `~astrodlkit.Cutouts`
        What has rows.
    """

    def __init__(self, table: Any) -> None:
        # A catalogue of photutils knows more than is in its table.
        sliced = isinstance(table, Table | SkyCoord | Cutouts) or hasattr(table, "to_table")
        self.table = table if sliced else read_table(table)
        if isinstance(self.table, SkyCoord):
            self.table = self.table.reshape(-1)

    def __len__(self) -> int:
        return len(read_table(self.table) if hasattr(self.table, "to_table") else self.table)

    def read(self, start: int, stop: int) -> Any:
        """
        Some rows.

        Parameters
        ----------
        start, stop : int
            The first, and that after the last.

        Returns
        -------
        rows : object
            Of the kind of the table.
        """
        return self.table[start:stop]

    def fingerprint(self) -> str:
        """The sha256 of the rows."""
        table = self.table
        return fingerprint(table if isinstance(table, SkyCoord | Cutouts) else read_table(table))


class ParquetRows:
    """
    Rows of a Parquet file, or of a folder of them, read one after another.

    Parameters
    ----------
    path : path-like
        The file or folder.

    Raises
    ------
    FileNotFoundError
        If there is none.
    astrodlkit.exceptions.MissingDependencyError
        If pyarrow or pandas is missing.
    """

    def __init__(self, path: PathLike) -> None:
        for module in ("pyarrow.dataset", "pandas"):
            import_optional(module, extra="parquet", purpose="to read Parquet files")
        from pyarrow import dataset

        self._dataset = dataset.dataset(str(path), format="parquet")
        self._length = self._dataset.count_rows()
        self._coming: Iterator[Any]
        self._held: Any  # what was read of the batch that holds row _at
        self._at: int
        self._rewind()

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int) -> QTable:
        """
        Some rows; those before them are passed over, and kept nowhere.

        Parameters
        ----------
        start, stop : int
            The first, and that after the last.

        Returns
        -------
        rows : `~astropy.table.QTable`
            With units, descriptions and meta if astropy wrote the file.
        """
        from pyarrow import Table as ArrowTable

        if start < self._at:
            self._rewind()
        pieces = []
        while self._at < stop:
            if not len(self._held):
                self._held = next(self._coming)
                continue
            first = min(max(start - self._at, 0), len(self._held))
            last = min(stop - self._at, len(self._held))
            pieces.append(self._held.slice(first, last - first))
            self._at += last
            self._held = self._held.slice(last)
        return _to_astropy(ArrowTable.from_batches(pieces, self._dataset.schema))

    def _rewind(self) -> None:
        self._coming = self._batches()
        self._at, self._held = 0, ()

    def _batches(self) -> Iterator[Any]:
        """All rows, a batch at a time: pyarrow's datasets read a whole row group, and the next."""
        from pyarrow import RecordBatch, nulls, parquet

        schema = self._dataset.schema
        for path in self._dataset.files:
            with parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
                for batch in file.iter_batches(_BATCH):
                    there = set(batch.schema.names)
                    columns = [
                        batch[each.name].cast(each.type)
                        if each.name in there
                        else nulls(len(batch), each.type)
                        for each in schema
                    ]
                    yield RecordBatch.from_arrays(columns, schema=schema)

    def fingerprint(self) -> str:
        """The sha256 of the files' footers, which hold sizes and extremes of all columns."""
        found = sha256()
        for path in self._dataset.files:
            with Path(path).open("rb") as stream:
                stream.seek(-8, 2)
                length = int.from_bytes(stream.read(4), "little")
                found.update(stream.seek(-8 - length, 2).to_bytes(8, "little"))
                found.update(stream.read(length))
        return found.hexdigest()


def _to_astropy(rows: Any) -> QTable:
    """Rows of pyarrow with the types that astropy gives them."""
    from pyarrow import compute, parquet, types

    metadata = dict(rows.schema.metadata or {})
    if b"table_meta_yaml" not in metadata:
        return QTable(Table.from_pandas(_to_pandas(rows)))
    for name in rows.column_names:
        if types.is_string(rows[name].type):
            # Another file of the folder may hold longer words than the first.
            key = f"table::len::{name}".encode()
            longest = compute.max(compute.utf8_length(rows[name])).as_py() or 1
            metadata[key] = str(max(longest, int(metadata.get(key, b"1")))).encode()
    # astropy knows its columns and units again in a file only, which may be in memory.
    stream = BytesIO()
    parquet.write_table(rows.replace_schema_metadata(metadata), stream, compression="none")
    stream.seek(0)
    return QTable.read(stream, format="parquet")


def _to_pandas(rows: Any) -> Any:
    """A data frame in which a whole number that is missing does not make floats of the others."""
    import pandas as pd
    import pyarrow as pa

    kinds = {pa.bool_(): pd.BooleanDtype()}
    for bits in (8, 16, 32, 64):
        kinds[getattr(pa, f"int{bits}")()] = getattr(pd, f"Int{bits}Dtype")()
        kinds[getattr(pa, f"uint{bits}")()] = getattr(pd, f"UInt{bits}Dtype")()
    return rows.to_pandas(types_mapper=kinds.get)
