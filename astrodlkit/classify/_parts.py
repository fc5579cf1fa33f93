"""Classification of more rows than can be held or lost: into a folder, part by part."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from astropy.table import Column, QTable

from .._typing import PathLike, Progress
from ..cutouts import read_images, read_tiles
from ..engine import TableParts, fingerprint, open_rows, write_parts
from ..engine._fingerprint import weights_digest
from ._predictor import Predictor
from ._results import PROVENANCE
from ._stamps import CUTOUTS_META

__all__ = ["PART_SIZE", "predict_parts"]

PART_SIZE = 16384
"""A minute of work on one core, more or less: what a killed run loses."""

# Columns that hold the pixels of cutouts, or rebuild their WCS.
_PIXELS = ("cutout", "cutout_mask", "cutout_variance")
_GRID = "wcs_"


def predict_parts(
    predictor: Predictor,
    table: Any,
    data: Any,
    *,
    output: PathLike,
    part_size: int,
    size: Any,
    progress: Progress,
    **options: Any,
) -> TableParts:
    """
    Classify a table into a folder, or go on where an earlier run was stopped.

    Parameters
    ----------
    predictor : Predictor
        One classifier or several.
    table, data, output, part_size, size, progress, **options
        As of `classify_cutouts`.

    Returns
    -------
    parts : TableParts
        The folder, complete.

    Raises
    ------
    TypeError, ValueError
        As in `classify_cutouts`.
    """
    rows = open_rows(table)
    n = len(rows)
    data = _opened(data)

    if not isinstance(size, str) and np.ndim(size) == 1 and len(size) != n:
        raise ValueError(f"size must be one width or one for each of the {n} rows, got {len(size)}")

    def width(start: int, stop: int) -> Any:
        return size if isinstance(size, str) or np.ndim(size) == 0 else size[start:stop]

    # What is wrong with the arguments is said before anything is written.
    stop = min(n, part_size)
    groups, provenance = predictor._begin(  # noqa: SLF001
        rows.read(0, stop),
        data,
        size=width(0, stop),
        precision="auto",
        **options,
    )
    _check_columns(_without_pixels(groups[0].rows.table.copy(copy_data=False)))
    del provenance["date"]  # the same bytes tomorrow
    named, interval = ("model", "sha256"), options["interval"]
    settings = {name: value for name, value in provenance.items() if name not in named}
    manifest = {
        "model": provenance["model"],
        "sha256": ", ".join(weights_digest(member) for member in predictor.members),
        "settings": settings | {"interval": None if interval is None else float(interval)},
        "input": {"table": rows.fingerprint(), "data": fingerprint(data, _content(size))},
    }

    def make(start: int, stop: int, advance: Callable[[int], None]) -> QTable:
        result = predictor.predict(
            rows.read(start, stop),
            data,
            size=width(start, stop),
            progress=_steps(advance),
            **options,
        )
        result.meta[PROVENANCE] = dict(provenance)
        return _without_pixels(result)

    return write_parts(
        output,
        manifest,
        n,
        make,
        part_size=part_size,
        progress=progress,
        description=", ".join(member.card.name for member in predictor.members),
    )


def _opened(data: Any) -> Any:
    """The data, opened once and not for every part."""
    if data is None:
        return None
    tiles = read_tiles(data)
    if tiles is not None:
        return tiles
    images = read_images(data)
    # Only the bands of a dict have names.
    return images if isinstance(data, Mapping) else list(images.values())


def _content(size: Any) -> Any:
    return size if isinstance(size, str) or size is None else np.asanyarray(size)


def _steps(advance: Callable[[int], None]) -> Callable[[int, int], None]:
    """Progress in steps, out of progress from the beginning."""
    before = 0

    def step(done: int, _: int) -> None:
        nonlocal before
        advance(done - before)
        before = done

    return step


def _without_pixels(result: QTable) -> QTable:
    """A result without the pixels of the cutouts: they are the input, and no answer."""
    ours = [name for name in _PIXELS if name in result.colnames]
    if result.meta.pop(CUTOUTS_META, None) is not None:
        ours += [name for name in result.colnames if name.startswith(_GRID)]
    result.remove_columns(ours)
    return result


def _check_columns(table: QTable) -> None:
    """Refuse what Parquet files do not give back."""
    for name, column in table.items():
        what = f"objects ({column[0]!r}, ...)" if _holds_objects(column) else ""
        if len(getattr(column, "shape", ())) > 2:
            what = f"arrays of shape {column.shape[1:]}"
        if what:
            raise TypeError(
                f"column {name!r} holds {what}, which cannot be written to Parquet: leave it out "
                f"with table.remove_column({name!r})"
            )


def _holds_objects(column: Any) -> bool:
    return isinstance(column, Column) and column.dtype.kind == "O" and len(column) > 0
