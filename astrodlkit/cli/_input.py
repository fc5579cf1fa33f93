"""Tables that the user names."""

from pathlib import Path

from astropy.io.registry import IORegistryError
from astropy.table import QTable

__all__ = ["check_table_file", "read_table_file"]


def check_table_file(path: Path) -> None:
    """
    See whether there is a table.

    Parameters
    ----------
    path : `~pathlib.Path`
        A file, or a folder of Parquet files.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if path.is_dir():
        if not any(path.rglob("*.parquet")):
            raise FileNotFoundError(f"{path}: the folder holds no Parquet files")
    elif not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")


def read_table_file(path: Path) -> QTable:
    """
    Read any table that astropy reads.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file, or a folder of Parquet files.

    Returns
    -------
    table : `~astropy.table.QTable`
        The table.
    """
    if path.is_dir():
        from ..engine import open_rows

        rows = open_rows(path)
        return rows.read(0, len(rows))
    try:
        return QTable.read(path)
    except IORegistryError:
        # The name does not tell the format: columns of text are what is left.
        return QTable.read(path, format="ascii")
