"""A new classifier from a user's own labels, on the backbone of one that exists."""

from __future__ import annotations

import sys
import warnings
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._typing import PathLike, Progress
from ..engine import check_batch_size, resolve_precision, run_batches
from ..engine._fingerprint import weights_digest
from ..exceptions import AstrodlkitWarning
from ..pretrained import Licence, ModelCard, Training
from ..specs import Head, InputSpec, LuptonStretch, Picture
from ..training import calibrate
from ..training._calibrate import LEAST_ROWS
from ._figures import measure
from ._fits import fit_frozen, fit_full, make_network, measure_novelty
from ._labelled import Labelled, read_labelled
from ._made_from import check_folder
from ._stamps import Bands
from ._views import VIEWS

if TYPE_CHECKING:
    from ._classifier import CutoutClassifier

__all__ = ["fine_tune"]

_MODES = ("frozen", "full")

# Pictures that a frozen backbone is shown, where views= does not say it.
_MOST_VIEWS = 8000
_LEAST_FOR_NOVELTY = LEAST_ROWS


def fine_tune(
    classifier: CutoutClassifier,
    table: Any,
    labels: Any,
    *,
    data: Any = None,
    bands: Bands = None,
    size: Any = None,
    stretch: LuptonStretch | Picture | str = "auto",
    name: str = "fine-tuned",
    title: str = "",
    mode: str = "frozen",
    validation: float | ArrayLike = 0.2,
    mirror: bool | None = None,
    views: int | None = None,
    epochs: int = 30,
    batch_size: int = 32,
    rate: float = 1e-3,
    patience: int = 6,
    folder: PathLike | None = None,
    devices: Any = 1,
    num_nodes: int = 1,
    strategy: Any = "auto",
    precision: str = "auto",
    seed: int = 0,
    progress: Progress = None,
) -> CutoutClassifier:
    """
    Make a new classifier from a table of labelled sources.

    Parameters
    ----------
    table, data, bands, size, stretch
        The sources and their pixels, as in `predict`. The new classifier has
        to be given pixels of the same kind.
    labels : str, list of str, array_like or dict
        What is to be learned, one entry for each of the n rows:

        * names, shape (n,): classes that exclude each other. Missing: an
          empty string or None;
        * numbers, shape (n,). Missing: NaN or None. (Codes of classes are
          numbers too: turn them into names, ``codes.astype(str)``.)
        * numbers, shape (n, k): how many volunteers gave each of k answers,
          or which fraction of them. Missing: a row that has a NaN or a
          negative number, or sums to zero;
        * the name of a column of ``table`` with one of these, or a list of
          columns with the votes for each answer; the result's columns are
          called ``predicted_`` and the column's name;
        * a dict with several of these under the names that the result's
          columns will have.

        Masked entries are missing too.
    name, title : str
        Of the new classifier, for its card.
    mode : {"frozen", "full"}
        ``"frozen"``: the network sees what it saw, and new answers are drawn
        from it; seconds to minutes, and the best choice for up to a few
        hundred labels. ``"full"``: then everything is trained on, by
        Lightning (extra ``train``).
    validation : float or array_like of bool, shape (n,)
        Rows that are not learned from, but used to choose and to judge: the
        part of the labelled rows (0.5 at most), which is drawn with the same
        part of each class; or which rows.
    mirror : bool, optional
        Whether a mirrored source has the same label. False where labels tell
        left from right. By default as the classifier was trained.
    views : {1, 2, 4, 8}, optional
        In the frozen mode: how many orientations of each picture are learned
        from; by default 8 (4 without mirroring), and fewer where that would
        be more than 8,000 pictures.
    epochs : int
        In the full mode: passes over the rows at most.
    batch_size : int
        Rows of a step of the training, in each process.
    rate : float
        In the full mode: largest learning rate of the answers; half of it for
        the backbone.
    patience : int
        In the full mode: passes without a better result on the validation
        rows after which it stops.
    folder : path, optional
        In the full mode: where checkpoints and the log go. The same call with
        the same folder goes on where an earlier one was interrupted; another
        call is refused (``made_from.json`` in the folder tells them apart).
    devices, num_nodes, strategy
        In the full mode: as of Lightning's ``Trainer``, for several processes
        and machines; see the tutorial. Several machines need ``folder``.
    precision : {"auto", "float32", "bfloat16"}
        Of the training; ``"auto"``: bfloat16 where the processor computes in
        it. The figures of the card are measured in float32.
    seed : int
        Of the choice of rows, and of the training.
    progress : bool or callable, optional
        As in `predict`, for the pictures and what the network sees in them;
        the full mode then shows Lightning's bar, or calls the callable after
        each pass. It may end before the last.

    Returns
    -------
    classifier : CutoutClassifier
        With the heads that the labels ask for. Its card tells what it was
        made from, and how good it is on the validation rows.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or nothing can be learned from the labels:
        none is known, a class has less than two rows, all are the same; or if
        ``folder`` has checkpoints of another training, or of one of which
        nothing is written down: what differs is said.
    astrodlkit.exceptions.MissingDependencyError
        If Lightning is not installed, in the full mode.

    Warns
    -----
    AstrodlkitWarning
        If labelled rows have no pixels; they are left out. If votes have fewer
        than 20 validation rows; their columns then come without errors.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import QTable
    >>> from astrodlkit import load_model
    >>> y, x = np.mgrid[-1:1:64j, -1:1:64j]
    >>> width = np.linspace(0.1, 0.6, 20)[:, None, None, None]
    >>> pictures = 255 * np.exp(-np.hypot(x, y) / width) * np.ones((3, 1, 1))
    >>> table = QTable({"cutout": pictures})
    >>> table["kind"] = ["small"] * 10 + ["large"] * 10
    >>> bands = ("red", "green", "blue")
    >>> mine = load_model("galaxyzoo2").fine_tune(table, "kind", bands=bands, views=1)
    >>> mine.card.figures[0].name
    'predicted_kind: accuracy'
    >>> print(mine.predict(table[:1], bands=bands)["predicted_kind"][0])
    small
    """
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {_MODES}, got {mode!r}")
    if mode == "frozen" and (folder is not None or devices != 1 or strategy != "auto"):
        raise ValueError("folder, devices and strategy must be left out with mode='frozen'")
    counts = {"epochs": epochs, "patience": patience, "num_nodes": num_nodes}
    for what, number in counts.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise ValueError(f"{what} must be a positive integer, got {number!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number, 0 or more, got {seed!r}")
    if num_nodes > 1 and (mode == "frozen" or folder is None):
        raise ValueError(
            f"num_nodes must be 1 with mode='frozen', or without a folder= that all machines see, "
            f"got {num_nodes}"
        )
    check_batch_size(batch_size)
    spec = classifier.input
    spec = replace(spec, mirror=spec.mirror if mirror is None else mirror)
    allowed = VIEWS if spec.mirror else VIEWS[:-1]
    if views is not None and views not in allowed:
        raise ValueError(f"views must be one of {allowed} with mirror={spec.mirror}, got {views!r}")
    backbone = _backbone_name(classifier)
    rows = read_labelled(
        table,
        labels,
        data=data,
        spec=spec,
        bands=bands,
        size=size,
        stretch=stretch,
        validation=validation,
        seed=seed,
        progress=progress,
    )
    _warn_of_few(rows)
    options = {
        "backbone": backbone,
        "heads": [
            {"name": head.name, "kind": head.kind, "n": len(head.labels)}
            for head in rows.output.heads
        ],
    }
    novelty = _novelty_head(classifier, rows)
    if novelty is not None:
        options["novelty"] = classifier.card.options["novelty"]
    drawn = np.ndim(validation) == 0
    card = _card(
        classifier.card,
        rows,
        spec,
        options,
        name=name,
        title=title,
        mode=mode,
        split="drawn at random, with the same part of each class" if drawn else "given by the user",
        seed=seed,
    )
    network = make_network(classifier.module.backbone, options, rows, seed).to(classifier.device)
    precision = resolve_precision(precision, classifier.device, difference=lambda: 0.0)
    if folder is not None:
        check_folder(
            folder,
            {
                "labels": rows.values(np.arange(len(rows.held))),
                "pictures": rows.pictures,
                "validation rows": rows.held,
                "model": (weights_digest(classifier), classifier.input),
                "heads": rows.output,
            },
            {
                "seed": int(seed),
                "rate": float(rate),
                "batch_size": int(batch_size),
                "epochs": int(epochs),
                "patience": int(patience),
                "mirror": spec.mirror,
                "precision": precision,
                "devices": str(devices),
                "num_nodes": int(num_nodes),
            },
        )
    run = partial(run_batches, batch_size=batch_size, device=classifier.device)
    fit_frozen(
        network,
        rows,
        spec,
        partial(run, precision=precision),
        views=1 if mode == "full" else views or _default_views(len(rows.held), allowed),
        progress=progress,
    )
    if mode == "full":
        with TemporaryDirectory() if folder is None else nullcontext(folder) as place:
            fit_full(
                network,
                rows,
                spec,
                epochs=epochs,
                batch_size=batch_size,
                rate=rate,
                seed=seed,
                precision=precision,
                accelerator="cpu" if classifier.device.type == "cpu" else "auto",
                devices=devices,
                num_nodes=num_nodes,
                strategy=strategy,
                folder=place,
                patience=patience,
                progress=sys.stderr.isatty() if progress is None else progress,
            )
    # Lightning leaves it on the CPU.
    network.to(classifier.device).eval()
    held = tuple(replace(each, values=each.values[rows.held]) for each in rows.labels)
    outputs = run(network, rows.images(rows.held, spec))
    output = calibrate(rows.output, outputs, {each.head.name: each.truth for each in held})
    if novelty is not None:
        measure_novelty(network, rows, spec)
        output = replace(output, heads=(*output.heads, novelty))
    note = "one view; these rows also chose " + ("the ridge" if mode == "frozen" else "the epoch")
    card = replace(card, output=output, figures=measure(held, outputs, note))
    return type(classifier)(card, network, device=classifier.device)


def _backbone_name(classifier: CutoutClassifier) -> str:
    """Name of the timm model inside a network."""
    backbone = getattr(classifier.module, "backbone", None)
    name = getattr(backbone, "default_cfg", {}).get("architecture")
    if name is None:
        raise ValueError(
            f"{classifier.card.full_name} cannot be fine-tuned: its network, of the architecture "
            f"{classifier.card.architecture!r}, has no timm model as its backbone"
        )
    return name


def _default_views(n: int, allowed: tuple[int, ...]) -> int:
    return max((views for views in allowed if n * views <= _MOST_VIEWS), default=1)


def _warn_of_few(rows: Labelled) -> None:
    """Say which votes will have no errors."""
    for each in rows.labels:
        n = int((rows.held & each.known).sum())
        if each.head.kind == "fractions" and n < LEAST_ROWS:
            warnings.warn(
                f"the votes {each.head.name!r} have {n} validation rows, and errors take "
                f"{LEAST_ROWS}: the results have no columns {each.head.columns[0]}_error, ...; "
                "label more rows, or give more of them to validation=",
                AstrodlkitWarning,
                stacklevel=3,
            )


def _novelty_head(classifier: CutoutClassifier, rows: Labelled) -> Head | None:
    """That of the classifier, where it has one and there are rows enough to measure it anew."""
    if min(rows.held.sum(), (~rows.held).sum()) < _LEAST_FOR_NOVELTY:
        return None
    return next((head for head in classifier.output.heads if head.name == "novelty"), None)


def _card(
    base: ModelCard,
    rows: Labelled,
    spec: InputSpec,
    options: dict[str, Any],
    *,
    name: str,
    title: str,
    mode: str,
    split: str,
    seed: int,
) -> ModelCard:
    """The card, without figures."""
    origin = base.full_name
    if base.weights is not None:
        origin += f" (sha256 {base.weights.sha256})"
    licence = base.licence or Licence(weights="not stated", data="not stated")
    n_held = int(rows.held.sum())
    labelled = [head.name for head in rows.output.heads]
    return ModelCard(
        name=name,
        title=title or f"{', '.join(labelled)}, fine-tuned from {base.full_name}",
        task="classify",
        architecture="heads",
        options=options,
        input=spec,
        output=rows.output,
        training=Training(
            data=f"{len(rows.held)} labelled pictures of a user's; started from {origin}",
            n_train=len(rows.held) - n_held,
            n_validation=n_held,
            split=split,
            seed=seed,
            recipe=f"CutoutClassifier.fine_tune(mode={mode!r})",
            date=datetime.now(UTC).date().isoformat(),
        ),
        licence=Licence(
            weights=f"as of {base.full_name}, from which they were made: {licence.weights}",
            data=f"{licence.data}; and that of the user's labelled pictures",
        ),
        citations=base.citations,
        intended_use=f"sources and pictures like the {len(rows.held)} that it was made from",
    )
