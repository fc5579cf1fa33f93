"""Cutouts that do not fit into memory, written to a file part by part."""

import io
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from astropy.io import fits

from .._typing import PathLike
from ._cutouts import Cutouts
from ._store import plain_table

__all__ = ["write_cutouts"]

_BLOCK = 2880  # bytes; of which FITS files are made


def write_cutouts(parts: Iterable[Cutouts], path: PathLike, *, overwrite: bool = False) -> int:
    """
    Write cutouts that come in parts, of which one is in memory at a time.

    Parameters
    ----------
    parts : iterable of `~astrodlkit.Cutouts`
        At least one; all of the same shape but for the number of rows.
    path : path-like
        A FITS file, ``.fits`` or ``.fit``, as `Cutouts.write` makes it; whole or
        not at all.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    n : int
        Rows that were written.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is False.
    ValueError
        If the suffix is another, there is no part, or the parts do not go
        together.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from astrodlkit import Cutouts
    >>> from astrodlkit.cutouts import write_cutouts
    >>> parts = (Cutouts(np.full((3, 8, 8), i)) for i in range(4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "stamps.fits")
    ...     n = write_cutouts(parts, path)
    ...     print(n, Cutouts.read(path))
    12 <Cutouts: 12 x 1 band (band0) of 8 x 8 pixels, float32>
    """
    path = Path(path)
    if path.suffix.lower() not in (".fits", ".fit"):
        raise ValueError(f"path must end in .fits or .fit, got {path.name!r}")
    if path.exists() and not overwrite:
        raise OSError(f"{path} exists: pass overwrite=True to replace it")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".astrodlkit") as folder:
        part = Path(folder, "part.fits")
        with part.open("w+b") as stream:
            n = _write(parts, stream)
        part.replace(path)
    return n


def _write(parts: Iterable[Cutouts], stream: IO[bytes]) -> int:
    header, place, n = None, 0, 0
    for cutouts in parts:
        buffer = io.BytesIO()
        plain_table(cutouts).write(buffer, format="fits")
        raw = memoryview(buffer.getvalue())
        with fits.open(io.BytesIO(raw)) as hdus:
            table = hdus[1]
            info, own = table.fileinfo(), table.header.copy()
            size = own["NAXIS1"] * own["NAXIS2"]
        rows, own["NAXIS2"] = own["NAXIS2"], 0
        if header is None:
            header, place = own, info["hdrLoc"]
            stream.write(raw[: info["datLoc"]])
        elif own.tostring() != header.tostring():
            raise ValueError(
                f"parts must be alike in all but their rows: part with {cutouts!r} is not like "
                "the first"
            )
        stream.write(raw[info["datLoc"] : info["datLoc"] + size])
        n += rows
    if header is None:
        raise ValueError("parts must be one or more, there is none")
    stream.write(bytes(-stream.tell() % _BLOCK))
    header["NAXIS2"] = n
    stream.seek(place)
    stream.write(header.tostring().encode("ascii"))
    return n
