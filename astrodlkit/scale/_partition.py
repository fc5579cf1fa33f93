"""What a worker does with a piece of a catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable

from ..engine import fingerprint
from ..engine._threads import worker_pool
from ._frames import answers_frame, numeric_rows
from ._images import Images, open_images
from ._models import ModelName, load_predictor

__all__ = ["Job", "classify_block", "classify_partition"]


@dataclass(frozen=True)
class Job:
    """
    All that a worker is told; a few hundred bytes, unless an index is given as a table.

    Parameters
    ----------
    models : tuple of ModelName
        The models.
    columns : tuple of str
        Names of their columns, in order.
    images : Images or None
        Where the pixels are; None: in the cutouts.
    units : dict of `~astropy.units.Unit`
        Of the frame's columns.
    position : tuple of str or None
        Names of the columns of longitude and latitude.
    options : dict
        For `CutoutClassifier.predict`.
    device : str
        Where a worker computes.
    threads : int
        Number of torch's threads for a piece.
    """

    models: tuple[ModelName, ...]
    columns: tuple[str, ...]
    images: Images | None
    units: Mapping[str, u.UnitBase]
    position: tuple[str, str] | None
    options: Mapping[str, Any]
    device: str
    threads: int

    def __dask_tokenize__(self) -> str:
        images = None if self.images is None else self.images.digest
        return fingerprint(
            self.models, images, self.units, self.position, self.options, self.device
        )

    def here(self) -> "Job":
        """The same for a few rows in this process, which measures nothing and needs no GPU."""
        return replace(self, device="cpu", options={**self.options, "precision": "float32"})

    def predict(self, table: QTable) -> QTable:
        """
        Ask the models, in a thread that has so many of torch's.

        Parameters
        ----------
        table : `~astropy.table.QTable`
            Rows, or cutouts.

        Returns
        -------
        result : `~astropy.table.QTable`
            What they answer.
        """
        data = None if self.images is None else open_images(self.images)
        with worker_pool(1, self.threads) as pool:
            return pool.submit(self._predict, table, data).result()

    def _predict(self, table: QTable, data: Any) -> QTable:
        precision = self.options["precision"]
        predictor = load_predictor(self.models, device=self.device, precision=precision)
        return predictor.predict(table, data, progress=False, **self.options)


def classify_partition(frame: Any, job: Job) -> Any:
    """
    Classify the rows of a partition.

    Parameters
    ----------
    frame : `pandas.DataFrame`, n rows
        The partition; it may have no rows.
    job : Job
        What to do.

    Returns
    -------
    frame : `pandas.DataFrame`, n rows
        Of the same kind, with the models' columns after its own.
    """
    import pandas as pd

    rows = numeric_rows(frame, units=job.units, position=job.position)
    answers = answers_frame(job.predict(rows), job.columns, frame.index)
    return pd.concat([frame, answers], axis=1)


def classify_block(cutouts: np.ndarray, start: int, job: Job) -> Any:
    """
    Classify a block of an array of cutouts.

    Parameters
    ----------
    cutouts : `~numpy.ndarray`, shape (n, c, ny, nx) or (n, ny, nx)
        The block; of a masked array with its mask.
    start : int
        Number of its first row.
    job : Job
        What to do.

    Returns
    -------
    frame : `pandas.DataFrame`, n rows
        The models' columns; its index are the numbers of the rows.
    """
    import pandas as pd

    pixels = np.asarray(cutouts)
    if "cutout" in job.units:
        pixels = pixels * job.units["cutout"]
    columns = {"cutout": pixels}
    if np.ma.isMaskedArray(cutouts):
        columns["cutout_mask"] = np.ma.getmaskarray(cutouts)
    result = job.predict(QTable(columns, copy=False))
    return answers_frame(result, job.columns, pd.RangeIndex(start, start + len(pixels)))
