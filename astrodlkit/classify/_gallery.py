"""A picture of a result: the stamps, grouped by class."""

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from .._typing import PathLike
from ..cutouts import Cutouts
from ..pretrained import describe_model
from ..specs import LuptonStretch, Picture
from ._classifier import CutoutClassifier
from ._rows import read_rows
from ._stamps import Bands

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_gallery"]

_INK, _FAINT, _PAPER = "#f2f2f2", "#9aa0a6", "#15171a"
_ACCENT, _GROOVE = "#f5a623", "#33373c"
# In inches.
_STAMP, _GAP, _CAPTION, _HEADING, _MARGIN = 1.15, 0.08, 0.24, 0.46, 0.25


def plot_gallery(
    table: Table,
    data: Any = None,
    *,
    model: str | PathLike | CutoutClassifier = "galaxyzoo2",
    bands: Bands = None,
    size: Any = None,
    stretch: LuptonStretch | Picture | str = "auto",
    n_columns: int = 8,
    n_rows: int = 1,
    figure: "Figure | None" = None,
) -> "Figure":
    """
    Draw the most certain sources of each class, as the network saw them.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A result of `classify_cutouts`.
    data, model, bands, size, stretch
        As they were given to `classify_cutouts`; where ``table`` was
        `~astrodlkit.Cutouts`, these are the ``data`` here.
    n_columns, n_rows : int
        At most this many stamps in a line, and lines for each class.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; its size is set to what the stamps need. By default a
        new figure, which does not touch the state of pyplot:
        ``figure.savefig("gallery.png")``.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        The picture. Classes stand in the order of their number of sources;
        the number and the bar under a stamp are its class's probability.

    Raises
    ------
    ValueError
        If the table has no columns for the model's classes (``class`` and
        ``class_probability``, or those of `CutoutClassifier.fine_tune`), or
        ``n_columns`` or ``n_rows`` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import QTable
    >>> from astrodlkit import classify_cutouts
    >>> from astrodlkit.classify import plot_gallery
    >>> y, x = np.mgrid[-1:1:96j, -1:1:96j]
    >>> picture = 255 * np.exp(-8 * np.hypot(x, y)) * np.ones((3, 1, 1))
    >>> table = QTable({"cutout": [picture] * 2})
    >>> colours = ("red", "green", "blue")
    >>> figure = plot_gallery(classify_cutouts(table, bands=colours), bands=colours)
    >>> len(figure.axes)
    2
    """
    card = model.card if isinstance(model, CutoutClassifier) else describe_model(model)
    spec = card.input
    if spec is None or card.output is None:
        raise ValueError(f"model must be one for the task 'classify', got {card!r}")
    columns = [head.column for head in card.output.heads if head.kind == "classes"]
    column = columns[0] if columns else "class"
    missing = {column, f"{column}_probability"} - set(table.colnames)
    if missing:
        raise ValueError(
            f"table must be a result of classify_cutouts, it has no column {sorted(missing)}"
        )
    if min(n_columns, n_rows) < 1:
        raise ValueError(f"n_columns and n_rows must be positive, got {n_columns} and {n_rows}")
    names = np.asarray(table[column]).astype(str)
    probability = np.asarray(table[f"{column}_probability"], dtype=float)
    kinds, counts = np.unique(names[names != ""], return_counts=True)
    groups = []
    for kind in kinds[np.argsort(-counts, kind="stable")]:
        members = np.flatnonzero(names == kind)
        best = members[np.argsort(-probability[members], kind="stable")]
        groups.append((str(kind), len(members), best[: n_columns * n_rows]))
    shown = np.concatenate([rows for _, _, rows in groups]) if groups else np.zeros(0, dtype=int)

    cutouts = isinstance(data, Cutouts)
    rows = read_rows(
        data[shown] if cutouts else table[shown],
        None if cutouts else data,
        spec=spec,
        bands=bands,
        size=np.asanyarray(size)[shown] if np.ndim(size) else size,
        step=256,
    )
    images = [images for _, images, *_ in rows.prepared(spec, stretch)]
    scale, offset = (np.reshape(values, (-1, 1, 1)) for values in (spec.std, spec.mean))
    pictures = np.clip(np.concatenate(images) * scale + offset, 0, 1).transpose(0, 2, 3, 1)
    return _draw(
        groups,
        pictures,
        probability[shown],
        n_columns=n_columns,
        title=card.title,
        figure=figure,
    )


def _draw(
    groups: list[tuple[str, int, np.ndarray]],
    pictures: np.ndarray,
    probability: np.ndarray,
    *,
    n_columns: int,
    title: str,
    figure: "Figure | None",
) -> "Figure":
    """Lines of stamps under a heading for each group; everything is placed in inches."""
    if figure is None:
        from matplotlib.figure import Figure

        figure = Figure()
    lines = [-(-len(rows) // n_columns) for _, _, rows in groups]
    line = _STAMP + _CAPTION
    width = 2 * _MARGIN + n_columns * (_STAMP + _GAP) - _GAP
    height = 2 * _MARGIN + _HEADING + sum(_HEADING + n * line for n in lines)
    figure.set_size_inches(width, height)
    figure.set_facecolor(_PAPER)

    top = height - _MARGIN
    figure.text(
        _MARGIN / width,
        (top - 0.12) / height,
        title,
        color=_INK,
        size=13,
        weight="bold",
        va="center",
    )
    top -= _HEADING
    stamps = iter(zip(pictures, probability, strict=True))
    for (kind, count, rows), n_lines in zip(groups, lines, strict=True):
        figure.text(
            _MARGIN / width,
            (top - _HEADING / 2) / height,
            kind.replace("_", " "),
            color=_ACCENT,
            size=12,
            va="center",
        )
        figure.text(
            1 - _MARGIN / width,
            (top - _HEADING / 2) / height,
            f"{len(rows)} of {count}",
            color=_FAINT,
            size=10,
            va="center",
            ha="right",
        )
        top -= _HEADING
        for i in range(len(rows)):
            picture, value = next(stamps)
            left = _MARGIN + (i % n_columns) * (_STAMP + _GAP)
            bottom = top - (i // n_columns) * line - _STAMP
            axes = figure.add_axes((left / width, bottom / height, _STAMP / width, _STAMP / height))
            axes.imshow(picture, origin="lower", interpolation="nearest")
            axes.set_axis_off()
            # The bar and the number, below the stamp.
            for end, colour in ((1, _GROOVE), (value, _ACCENT)):
                axes.hlines(-0.04, 0, end, colour, lw=2.5, transform=axes.transAxes, clip_on=False)
            axes.text(
                1,
                -0.09,
                f"{value:.2f}",
                transform=axes.transAxes,
                color=_FAINT,
                size=7.5,
                ha="right",
                va="top",
            )
        top -= n_lines * line
    return figure
