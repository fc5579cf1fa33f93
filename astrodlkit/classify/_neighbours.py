"""Rows near to examples in the space of a network's features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Column, QTable
from numpy.typing import ArrayLike, NDArray

from .._typing import Progress
from ..specs import LuptonStretch, Picture
from ._results import PROVENANCE, check_clash
from ._stamps import Bands

if TYPE_CHECKING:
    from ._classifier import CutoutClassifier

__all__ = ["find_similar"]


def find_similar(
    self: CutoutClassifier,
    table: Any,
    row: int | ArrayLike,
    n: int = 10,
    *,
    data: Any = None,
    features: ArrayLike | None = None,
    bands: Bands = None,
    size: Any = None,
    stretch: LuptonStretch | Picture | str = "auto",
    views: int = 1,
    batch_size: int = 256,
    precision: str = "auto",
    progress: Progress = None,
) -> QTable:
    """
    Find the rows of a table that look most like one row, or like several.

    Parameters
    ----------
    table, data, bands, size, stretch, views, batch_size, precision, progress
        The sources and their pixels, as in `predict`.
    row : int or array_like of int
        The example, or several: their number in the table, from 0. Several
        examples say which of the features of the first one is meant.
    n : int
        How many rows to find.
    features : array_like, shape (len(table), d), optional
        What `embed` gave for the table, where several searches are made.

    Returns
    -------
    result : `~astropy.table.QTable`
        At most n rows of the table, the most similar first, with two columns
        more: ``similarity``, between -1 and 1, and ``row``, their number in
        the table. The examples and rows without pixels are not among them.

    Raises
    ------
    TypeError, ValueError
        As in `predict`; if ``row`` is no row of the table or has no pixels,
        or ``features`` are not one for each row.

    Notes
    -----
    The features of all rows are brought to the mean zero and the standard
    deviation one. The similarity to an example is the cosine of the angle
    between the two; that to several is the mean of these. It compares rows of
    one table: in another table it is another number.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import QTable
    >>> from astrodlkit import load_model
    >>> y, x = np.mgrid[-1:1:64j, -1:1:64j]
    >>> width = np.array([0.1, 0.5, 0.12, 0.4, 0.6])[:, None, None, None]
    >>> pictures = 255 * np.exp(-np.hypot(x, y) / width) * np.ones((3, 1, 1))
    >>> found = load_model("galaxyzoo2").find_similar(
    ...     {"cutout": pictures}, row=0, n=1, bands=("red", "green", "blue"))
    >>> print(found["row"][0])
    2
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n must be a positive number of rows, got {n!r}")
    groups, provenance = self._begin(
        table,
        data,
        bands=bands,
        size=size,
        stretch=stretch,
        views=views,
        batch_size=batch_size,
        precision=precision,
        answer=lambda network, images: {"features": network.features(images)},
    )
    rows = groups[0].rows
    check_clash(rows.table, ("similarity", "row"), similar=True)
    examples = _examples(row, rows.n)
    if features is None:
        chunks = self._run(groups, stretch, progress)
        features = np.concatenate([outputs["features"] for _, outputs, _ in chunks])
    similarity = _similarity(np.asarray(features, dtype=np.float64), examples, rows.n)
    order = np.argsort(-similarity, kind="stable")[: np.isfinite(similarity).sum()][:n]
    # A table may have no columns besides its pixels, and then no length.
    found = rows.table[order] if rows.table.colnames else QTable()
    found["similarity"] = Column(
        similarity[order].astype(np.float32), description="to the examples, -1 to 1"
    )
    found["row"] = Column(order, description="number in the table that was searched")
    found.meta[PROVENANCE] = {**provenance, "examples": examples.tolist()}
    return found


def _examples(row: int | ArrayLike, n: int) -> NDArray[np.intp]:
    examples = np.unique(np.atleast_1d(row))
    if examples.dtype.kind not in "iu" or np.ndim(row) > 1 or not len(examples):
        raise TypeError(f"row must be the number of a row, or several, got {row!r}")
    if n == 0:
        raise ValueError("table has no rows to search")
    if examples[0] < 0 or examples[-1] >= n:
        raise ValueError(f"row must be from 0 to {n - 1}, got {row!r}")
    return examples


def _similarity(
    features: NDArray[np.float64], examples: NDArray[np.intp], n: int
) -> NDArray[np.float64]:
    """Mean cosine to the examples; NaN for these, and for rows without features."""
    if features.ndim != 2 or len(features) != n:
        raise ValueError(f"features must be of shape ({n}, d), as from embed, got {features.shape}")
    known = np.asarray(np.isfinite(features).all(axis=1))
    if not known[examples].all():
        raise ValueError(f"rows {examples[~known[examples]].tolist()} have no pixels to compare")
    seen = features[known]
    std = seen.std(axis=0)
    scaled = (seen - seen.mean(axis=0)) / np.where(std > 0, std, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    scaled /= np.where(length > 0, length, 1)
    similarity = np.full(n, np.nan)
    wanted = scaled[np.cumsum(known)[examples] - 1].mean(axis=0)
    similarity[known] = scaled @ wanted
    similarity[examples] = np.nan
    return similarity
