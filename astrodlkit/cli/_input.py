"""Tables that the user names."""

from pathlib import Path

from astropy.io.registry import IORegistryError
from astropy.table import QTable

__all__ = ["read_table_file"]


def read_table_file(path: Path) -> QTable:
    """
    Read any table that astropy reads.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.

    Returns
    -------
    table : `~astropy.table.QTable`
        The table.
    """
    try:
        return QTable.read(path)
    except IORegistryError:
        # The name does not tell the format: columns of text are what is left.
        return QTable.read(path, format="ascii")
