"""What a worker does with a piece of a catalogue of galaxies to be drawn."""

import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import QTable

from ..cutouts._store import read_flags, read_meta
from ..engine import fingerprint
from ..engine._threads import worker_pool
from ._frames import numeric_rows
from ._models import ModelName, load_simulator

if TYPE_CHECKING:
    from ..galaxies import GalaxySimulator
    from ..galaxies._request import Request

__all__ = ["ADDED", "Drawing", "draw_partition"]

ADDED = ("stamp_file", "stamp_row", "flags")
"""Columns of the result that say where stamps are, and whether they are suspect."""


@dataclass(frozen=True)
class Drawing:
    """
    All that a worker is told.

    Parameters
    ----------
    model : ModelName
        Of the simulator.
    folder : str
        Where the files go.
    suffix : str
        Of the files.
    units : dict of `~astropy.units.Unit`
        Of the frame's columns.
    options : dict
        For `GalaxySimulator.simulate`.
    batch_size : int
        Galaxies in memory.
    device : str
        Where a worker computes.
    threads : int
        Number of torch's threads for a piece.
    """

    model: ModelName
    folder: str
    suffix: str
    units: Mapping[str, u.UnitBase]
    options: Mapping[str, Any]
    batch_size: int
    device: str
    threads: int

    def request(self, frame: Any, first: int, device: str) -> "tuple[GalaxySimulator, Request]":
        """
        Read the rows of a piece.

        Parameters
        ----------
        frame : `pandas.DataFrame`, n rows
            The piece.
        first : int
            Number of its first row.
        device : str
            Where to load the model.

        Returns
        -------
        simulator, request : GalaxySimulator, Request
            What draws, and what is to be drawn.
        """
        rows: QTable = numeric_rows(frame, units=self.units, position=None)
        for name, column in frame.items():
            if column.dtype == object and column.isna().all():
                continue  # there is nothing that would tell text from numbers
            if getattr(column.dtype, "kind", "O") == "O" and str(name) not in rows.colnames:
                # Of categories only those that there are could be filled in.
                rows[str(name)] = column.astype(object).fillna("").to_numpy(dtype=str)
        simulator = load_simulator(self.model, device=device)
        return simulator, simulator._request(rows, {**self.options, "first": first})  # noqa: SLF001


def draw_partition(frame: Any, number: int, first: int, job: Drawing) -> Any:
    """
    Draw the galaxies of a partition into a file, if they are not there.

    Parameters
    ----------
    frame : `pandas.DataFrame`, n rows
        The partition; it may have no rows.
    number : int
        Of the partition.
    first : int
        Number of its first row.
    job : Drawing
        What to do.

    Returns
    -------
    frame : `pandas.DataFrame`, n rows
        The same with the columns `ADDED`.
    """
    path = Path(job.folder, f"part-{number:08d}{job.suffix}")
    with worker_pool(1, job.threads) as pool:
        pool.submit(_draw, path, frame, first, job).result()
    return with_places(frame, path, read_flags(path))


def with_places(frame: Any, path: Path, flags: Any) -> Any:
    """
    Say where the stamps of rows are.

    Parameters
    ----------
    frame : `pandas.DataFrame`, n rows
        The rows.
    path : `~pathlib.Path`
        Their file.
    flags : ndarray of int32, shape (n,)
        Theirs.

    Returns
    -------
    frame : `pandas.DataFrame`, n rows
        The same with the columns `ADDED`.
    """
    import pandas as pd

    n = len(frame)
    values = pd.array([str(path)] * n, dtype="string[pyarrow]"), np.arange(n), flags
    added = pd.DataFrame(dict(zip(ADDED, values, strict=True)), index=frame.index, copy=False)
    return pd.concat([frame, added], axis=1)


def _draw(path: Path, frame: Any, first: int, job: Drawing) -> None:
    from ..galaxies._write import describe_run, fill

    simulator, request = job.request(frame, first, job.device)
    run = fingerprint(describe_run(simulator, request))
    if path.exists():
        if read_meta(path).get("astrodlkit", {}).get("run") != run:
            raise FileExistsError(
                f"{path} has stamps of another run, with another catalogue, model, seed or "
                "setting: give another output, or remove this one"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under a name of its own: Dask may take a worker that is only slow for dead.
    part = path.with_name(f".{secrets.token_hex(4)}{path.suffix}")
    try:
        for _ in fill(part, simulator, request, run=run, batch_size=job.batch_size):
            pass
        if part.is_dir() and path.exists():
            return
        part.replace(path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        part.unlink(missing_ok=True)
