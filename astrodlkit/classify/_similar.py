"""The verb: an example goes in, the sources that look like it come out."""

from typing import Any

from astropy.table import QTable
from numpy.typing import ArrayLike

from .._typing import PathLike, Progress
from ..specs import LuptonStretch, Picture
from ._classifier import CutoutClassifier
from ._classify import load_classifier
from ._stamps import Bands

__all__ = ["find_similar"]


def find_similar(
    table: Any,
    row: int | ArrayLike,
    n: int = 10,
    *,
    data: Any = None,
    model: PathLike | CutoutClassifier = "galaxyzoo2",
    bands: Bands = None,
    size: Any = None,
    stretch: LuptonStretch | Picture | str = "auto",
    views: int = 1,
    batch_size: int = 256,
    device: str = "auto",
    progress: Progress = None,
) -> QTable:
    """
    Find the sources of a table that look most like one of them, or like several.

    Parameters
    ----------
    table, data, bands, size, stretch, views, batch_size, device, progress
        The sources and their pixels, as in `classify_cutouts`.
    row : int or array_like of int
        The example, or several: their number in the table, from 0. Several
        say better what is meant: what they have in common counts.
    n : int
        How many sources to find.
    model : str, path or `CutoutClassifier`
        Whose features are compared; as in `classify_cutouts`.

    Returns
    -------
    result : `~astropy.table.QTable`
        At most n rows of the table, the most similar first, with two columns
        more: ``similarity``, between -1 and 1, and ``row``, their number in
        the table. The examples and rows without pixels are not among them.

    Raises
    ------
    TypeError, ValueError
        As in `~astrodlkit.classify.CutoutClassifier.find_similar`.

    See Also
    --------
    astrodlkit.classify.CutoutClassifier.find_similar : Takes features that are already there.
    CutoutClassifier.embed : The features.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit import find_similar
    >>> y, x = np.mgrid[-1:1:64j, -1:1:64j]
    >>> width = np.array([0.1, 0.5, 0.12, 0.4, 0.6])[:, None, None, None]
    >>> pictures = 255 * np.exp(-np.hypot(x, y) / width) * np.ones((3, 1, 1))
    >>> found = find_similar({"cutout": pictures}, row=0, n=1, bands=("red", "green", "blue"))
    >>> print(found["row"][0])
    2
    """
    return load_classifier(model, device).find_similar(
        table,
        row,
        n,
        data=data,
        bands=bands,
        size=size,
        stretch=stretch,
        views=views,
        batch_size=batch_size,
        progress=progress,
    )
