"""Files that are written row after row, go on where they were stopped, and appear whole."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._optional import import_optional
from ._parts import MANIFEST, differences, write_durably

__all__ = ["Unfinished", "check_target", "clear_leftovers", "read_unfinished", "unfinished"]

_DONE = "done"


class Unfinished:
    """
    A file of which some rows are written.

    Attributes
    ----------
    path : `~pathlib.Path`
        Where it is, until it is whole; it may not be there yet.
    done : int
        Rows that are in it and on the disk.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._journal = folder / _DONE
        self.path = folder / name
        there = self.path.exists() and self._journal.exists()
        self.done = int(self._journal.read_text()) if there else 0

    def reach(self, done: int) -> None:
        """
        Say that the file has more rows, and they are on the disk.

        Parameters
        ----------
        done : int
            Rows from the first on.
        """
        write_durably(self._journal, lambda path: path.write_text(str(done)))
        self.done = done


def check_target(path: Path, formats: tuple[str, ...]) -> Path:
    """
    See before the work starts whether a file can be written in the end.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file, or a folder of Zarr.
    formats : tuple of str
        Suffixes that are understood.

    Returns
    -------
    path : `~pathlib.Path`
        The same.
    """
    suffix = path.suffix.lower()
    if suffix not in formats:
        raise ValueError(f"path must end in one of {', '.join(formats)}, got {str(path)!r}")
    if suffix == ".zarr":
        import_optional("zarr", extra="zarr", purpose="to write Zarr folders")
    elif suffix in (".h5", ".hdf5"):
        import_optional("h5py", extra="hdf5", purpose="to write HDF5 files")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist")
    if path.is_dir() and not (suffix == ".zarr" and (path / "zarr.json").exists()):
        raise IsADirectoryError(f"{path} is a folder that is not of Zarr")
    return path


def read_unfinished(path: Path) -> dict[str, Any]:
    """
    What a run that was stopped was given.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file that it was to make.

    Returns
    -------
    manifest : dict
        Empty if there is none.
    """
    try:
        manifest: dict[str, Any] = json.loads((_folder(path) / MANIFEST).read_text())
    except FileNotFoundError:
        return {}
    return manifest


@contextmanager
def unfinished(
    path: Path, manifest: Mapping[str, Any], *, overwrite: bool = False
) -> Iterator[Unfinished]:
    """
    Write a file, or go on with one that was not finished.

    Until it is whole it is in a folder beside its place, named after it and
    ``.partial``, with the manifest and the number of rows that it has.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file, or a folder of Zarr; one that is there is replaced in the end.
    manifest : dict
        All that the rows follow from, in JSON types.
    overwrite : bool
        Whether what another run left unfinished may be thrown away.

    Yields
    ------
    partial : Unfinished
        Where to write, and from which row on. If nothing was written when an
        error ends the block, nothing is left.

    Raises
    ------
    ValueError
        If another run was not finished.
    """
    folder = _folder(path)
    now = json.loads(json.dumps(manifest, allow_nan=False))
    before = read_unfinished(path)
    if before and (words := differences(before, now)):
        if not overwrite:
            raise ValueError(
                f"{path}: another run was not finished, which differs in {words}. Go on with it "
                f"by the same call, or throw it away: pass overwrite=True, or remove {folder}"
            )
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    text = json.dumps(now, indent=1) + "\n"
    write_durably(folder / MANIFEST, lambda part: part.write_text(text))
    partial = Unfinished(folder, path.name)
    try:
        yield partial
    except BaseException:
        if not partial.done:
            shutil.rmtree(folder)
        raise
    if path.is_dir():
        # A folder is not replaced as a file is; the old one goes with the other.
        path.replace(folder / "old")
    partial.path.replace(path)
    # What takes long goes first, and what tells `clear_leftovers` that all was done last.
    shutil.rmtree(folder / "old", ignore_errors=True)
    (folder / MANIFEST).unlink()
    shutil.rmtree(folder)


def clear_leftovers(path: Path) -> None:
    """
    Take away what a run left that was killed after it had put its file in place.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file, which is finished. What another run has not finished, or has
        only begun, stays.
    """
    folder = _folder(path)
    if (folder / _DONE).exists() and not (folder / path.name).exists():
        shutil.rmtree(folder, ignore_errors=True)


def _folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")
