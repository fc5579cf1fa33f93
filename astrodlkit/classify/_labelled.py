"""Labelled pictures in memory, and which of them are kept apart to judge by."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Progress
from ..engine import prefetch, progress_bar
from ..exceptions import AstrodlkitWarning
from ..specs import InputSpec, LuptonStretch, OutputSpec, Picture
from ._labels import Labels, read_labels
from ._rows import NO_PIXELS, Rows, read_rows
from ._stamps import Bands

__all__ = ["Labelled", "read_labelled"]

_STEP = 256
_MOST_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Labelled:
    """
    What a network is fine-tuned on.

    Parameters
    ----------
    pictures : `~numpy.ndarray` of uint8, shape (n, 3, ny, nx)
        Channels, 255 standing for 1.
    labels : tuple of Labels
        Those of each head.
    held : `~numpy.ndarray` of bool, shape (n,)
        Validation rows.
    """

    pictures: NDArray[np.uint8]
    labels: tuple[Labels, ...]
    held: NDArray[np.bool_]

    @property
    def output(self) -> OutputSpec:
        """The heads that the labels ask for."""
        return OutputSpec(heads=tuple(each.head for each in self.labels))

    def values(self, rows: NDArray) -> list[NDArray]:
        """Labels of each head, of some of the rows."""
        return [each.values[rows] for each in self.labels]

    def images(self, rows: NDArray, spec: InputSpec) -> NDArray[np.float32]:
        """Some of the pictures as a network takes them."""
        return spec.standardise(self.pictures[rows].astype(np.float32) / 255)


def read_labelled(
    table: Any,
    labels: Any,
    *,
    data: Any,
    spec: InputSpec,
    bands: Bands,
    size: Any,
    stretch: LuptonStretch | Picture | str,
    validation: Any,
    seed: int,
    progress: Progress,
) -> Labelled:
    """
    Prepare the rows that have labels and pixels, and choose those to judge by.

    Parameters
    ----------
    table, labels, data, bands, size, stretch, validation, seed, progress
        As of `CutoutClassifier.fine_tune`.
    spec : InputSpec
        What the network takes.

    Returns
    -------
    rows : Labelled
        Everything is in memory.

    Raises
    ------
    TypeError, ValueError
        As in `CutoutClassifier.fine_tune`.
    """
    rows = read_rows(table, data, spec=spec, bands=bands, size=size, step=_STEP)
    if rows.n == 0:
        raise ValueError("table has no rows to learn from")
    found = read_labels(labels, rows.table, rows.n)
    OutputSpec(heads=tuple(each.head for each in found))
    given = _given(validation, rows.n)
    labelled = np.any([each.known for each in found], axis=0)
    for each in found:
        each.check(labelled, "rows")
    pictures, seen = _prepare(rows, labelled, spec, stretch, progress)
    lost = int((labelled & ~seen).sum())
    if lost:
        warnings.warn(
            f"{lost} of the {labelled.sum()} labelled rows have no pixels and are left out",
            AstrodlkitWarning,
            stacklevel=4,
        )
    for each in found:
        each.check(seen, "rows with pixels")
    kept = tuple(replace(each, values=each.values[seen]) for each in found)
    held = _drawn(validation, kept, seed) if given is None else given[seen]
    for each in kept:
        each.check(~held, "training rows", least=1)
        if not (each.known & held).any():
            raise ValueError(f"labels {each.head.name!r}: no validation row has a label")
    return Labelled(pictures, kept, held)


def _prepare(
    rows: Rows,
    labelled: NDArray[np.bool_],
    spec: InputSpec,
    stretch: LuptonStretch | Picture | str,
    progress: Progress,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pictures of the rows with labels and pixels, and which rows these are."""
    n_bytes = int(labelled.sum()) * 3 * int(np.prod(spec.shape))
    if n_bytes > _MOST_BYTES:
        raise ValueError(
            f"{labelled.sum()} labelled pictures of {spec.shape} pixels take "
            f"{n_bytes / 2**30:.1f} GiB, more than {_MOST_BYTES / 2**30:.0f}: fine-tune on fewer "
            "rows, for example on a random choice of them"
        )
    mean, std = (np.array(x, np.float32)[:, None, None] for x in (spec.mean, spec.std))
    pictures = np.empty((int(labelled.sum()), 3, *spec.shape), np.uint8)
    seen = np.zeros(rows.n, dtype=bool)
    n = 0
    with progress_bar(rows.n, progress, description="pictures") as advance:
        for part, images, flags, _ in prefetch(rows.prepared(spec, stretch)):
            use = labelled[part] & ((flags & NO_PIXELS) == 0)
            channels = np.rint(255 * (images[use] * std + mean)).clip(0, 255)
            pictures[n : n + len(channels)] = channels
            seen[part] = use
            n += len(channels)
            advance(len(flags))
    return pictures[:n], seen


def _given(validation: Any, n: int) -> NDArray[np.bool_] | None:
    """Validation rows where the user says which; None where a part is to be drawn."""
    if np.ndim(validation) == 0:
        if validation is None or isinstance(validation, bool | str) or not 0 < validation <= 0.5:
            raise ValueError(
                f"validation must be a part of the rows, above 0 and up to 0.5, or a mask of "
                f"them, got {validation!r}"
            )
        return None
    mask = np.asarray(validation)
    if mask.dtype != bool or mask.shape != (n,):
        raise ValueError(
            f"validation must be True or False for each of the {n} rows, got {mask.dtype} of "
            f"shape {mask.shape}"
        )
    return mask


def _drawn(part: float, labels: tuple[Labels, ...], seed: int) -> NDArray[np.bool_]:
    """Validation rows drawn at random, as many of each class as its part is."""
    n = len(labels[0].values)
    order = np.random.default_rng(seed).permutation(n)
    keys = [
        each.values if each.head.kind == "classes" else each.known.astype(int) for each in labels
    ]
    order = order[np.lexsort([key[order] for key in reversed(keys)])]
    held = np.zeros(n, dtype=bool)
    # Evenly spaced along the sorted rows: at least one of two neighbours is learned from.
    count = np.floor((np.arange(n) + 1) * part + 1e-9)
    held[order] = np.diff(count, prepend=0) > 0
    if not held.any():
        held[order[-1]] = True
    return held
