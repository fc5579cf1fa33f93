"""Output files: written whole or not at all, and never over another by accident."""

import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io.votable import from_table
from astropy.io.votable.tree import Info, VOTableFile
from astropy.table import MaskedColumn, Table
from astropy.time import Time

from .._optional import import_optional

__all__ = ["TABLE_FORMATS", "check_output", "check_table", "replace_file", "write_table"]

# Rows.
_TRIED = 100
TABLE_FORMATS = {
    ".ecsv": "ascii.ecsv",
    ".fit": "fits",
    ".fits": "fits",
    ".parquet": "parquet",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
}


def check_output(path: Path, suffixes: tuple[str, ...], *, overwrite: bool) -> None:
    """
    See before the work starts whether a file can be written in the end.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    suffixes : tuple of str
        Those that are understood.
    overwrite : bool
        Whether it may exist.

    Raises
    ------
    ValueError
        If the suffix is another.
    IsADirectoryError, FileExistsError
        If it is a folder, or exists and may not.
    FileNotFoundError
        If its folder does not exist.
    astrodlkit.exceptions.MissingDependencyError
        If an optional package is needed to write it.
    """
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{path}: the name must end in one of {', '.join(suffixes)}")
    if path.suffix.lower() == ".parquet":
        import_optional("pyarrow", extra="parquet", purpose="to write Parquet files")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; --overwrite replaces it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist")


def check_table(table: Table, path: Path) -> None:
    """
    See before the work starts whether the columns of a table can be written.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Its first rows and its meta are tried.
    path : `~pathlib.Path`
        The file; one beside it is written, and goes.

    Raises
    ------
    ValueError
        If they cannot.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        try:
            write_table(table[:_TRIED], Path(folder, path.name), overwrite=False)
        except (AttributeError, TypeError, ValueError) as exc:
            raise ValueError(
                f"{path}: the catalogue's columns {table.colnames} and its meta cannot be written "
                f"as {TABLE_FORMATS[path.suffix.lower()]}: {exc}"
            ) from exc


def replace_file(path: Path, write: Callable[[Path], object], *, overwrite: bool) -> None:
    """
    Write a file beside its place, then move it there.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.
    write : callable
        Called with the path to write to, which has the same suffix.
    overwrite : bool
        Whether ``path`` may exist.

    Raises
    ------
    FileExistsError
        If it exists and may not.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        part = Path(folder, path.name)
        write(part)
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists; --overwrite replaces it")
        part.replace(path)


def write_table(table: Table, path: Path, *, overwrite: bool) -> None:
    """
    Write a table in the format that the suffix names.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    path : `~pathlib.Path`
        The file.
    overwrite : bool
        Whether ``path`` may exist.
    """
    kind = TABLE_FORMATS[path.suffix.lower()]
    table = _with_text(table)

    def write(part: Path) -> None:
        if kind == "fits":
            _with_comments(table).write(part, format=kind)
        elif kind == "votable":
            _votable(table).to_xml(str(part))
        else:
            table.write(part, format=kind)

    replace_file(path, write, overwrite=overwrite)


def _with_text(table: Table) -> Table:
    """A table whose columns of objects that are text, or missing, are columns of text."""
    table = table.copy(copy_data=False)
    for name in table.colnames:
        if getattr(table[name], "dtype", np.dtype(float)).kind == "O":
            values = np.ma.filled(np.ma.asarray(table[name]), None).tolist()
            if all(value is None or isinstance(value, str) for value in values):
                missing = [value is None for value in values]
                text = [value or "" for value in values]
                table[name] = MaskedColumn(text, mask=missing, dtype=str)
    return table


def _with_comments(table: Table) -> Table:
    """A table of whose meta what FITS has no header card for are comments in JSON."""
    table = table.copy(copy_data=False)
    cards = {key: value for key, value in table.meta.items() if _is_card(key, value)}
    lines = [
        f"{key} {json.dumps(value, default=str)}"
        for key, value in table.meta.items()
        if key not in (*cards, "comments")
    ]
    comments = table.meta.get("comments", [])
    comments = [comments] if isinstance(comments, str) else comments
    table.meta = {**cards, "comments": [*comments, *lines]}
    return table


def _is_card(key: Any, value: Any) -> bool:
    """Whether FITS has a header card for it."""
    if not isinstance(key, str) or len(key) > 8 or key == "comments":
        return False
    if isinstance(value, str):
        return value.isascii() and value.isprintable()
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _votable(table: Table) -> VOTableFile:
    """A VOTable with the meta as INFO in JSON, and coordinates as columns of angles."""
    table = table.copy(copy_data=False)
    for name in table.colnames:
        coordinates = table[name]
        if isinstance(coordinates, Time):
            table[name] = coordinates.isot
        elif isinstance(coordinates, SkyCoord):
            place = table.index_column(name)
            table.remove_column(name)
            for part in tuple(coordinates.representation_component_names)[1::-1]:
                table.add_column(getattr(coordinates, part), index=place, name=f"{name}_{part}")
    votable = from_table(table)
    votable.resources[0].infos.extend(
        Info(name=str(key), value=json.dumps(value, default=str))
        for key, value in table.meta.items()
    )
    return votable
