"""The object behind `classify_cutouts`: a card, a network, and what they do to a table."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import torch
from astropy.table import QTable

from .. import __version__
from .._flags import Flag
from .._typing import PathLike, Progress
from ..engine import (
    check_batch_size,
    prefetch,
    progress_bar,
    resolve_device,
    resolve_precision,
    run_batches,
)
from ..pretrained import ModelCard, save_model
from ..specs import LuptonStretch, Picture
from ._probe import probe_images
from ._results import check_clash, join
from ._rows import NO_PIXELS, Rows, read_rows
from ._stamps import Bands
from ._views import VIEWS, averaged

__all__ = ["CutoutClassifier"]


class CutoutClassifier:
    """
    A network that classifies stamps of single sources.

    Parameters
    ----------
    card : `~astrodlkit.ModelCard`
        What the network eats and what its numbers mean.
    module : `torch.nn.Module`
        The network; ``module(images)`` gives a dict with an entry for each
        head of the card's output and ``module.features(images)`` a tensor of
        shape (n, d). It is moved to the device and put in evaluation mode.
    device : str or `torch.device`
        Where it runs: ``"auto"`` (a CUDA device where there is one, else the
        CPU), ``"cpu"``, ``"cuda:1"``, ...

    Attributes
    ----------
    card, module, device
        As above.

    See Also
    --------
    classify_cutouts : The same in one call.
    astrodlkit.load_model : Makes one from a name.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import QTable
    >>> from astrodlkit import load_model
    >>> classifier = load_model("galaxyzoo2")
    >>> y, x = np.mgrid[-1:1:96j, -1:1:96j]
    >>> picture = 255 * np.exp(-8 * np.hypot(x, y)) * np.ones((3, 1, 1))
    >>> table = QTable({"cutout": picture[None]})
    >>> result = classifier.predict(table, bands=("red", "green", "blue"))
    >>> print(result["class"][0])
    completely_round
    """

    def __init__(
        self, card: ModelCard, module: torch.nn.Module, *, device: str | torch.device = "auto"
    ) -> None:
        if not isinstance(card, ModelCard):
            raise TypeError(f"card must be a ModelCard, got {type(card).__name__}")
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
        self.card = card
        self.device = resolve_device(device)
        self.module = module.to(self.device, memory_format=torch.channels_last).eval()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.card.full_name} on {self.device}>"

    def predict(
        self,
        table: Any,
        data: Any = None,
        *,
        bands: Bands = None,
        size: Any = None,
        stretch: LuptonStretch | Picture | str = "auto",
        views: int = 1,
        batch_size: int = 256,
        precision: str = "auto",
        progress: Progress = None,
    ) -> QTable:
        """
        Classify every row of a table.

        Parameters
        ----------
        table, data, bands, size, stretch, views, batch_size, progress
            As in `classify_cutouts`.
        precision : {"auto", "float32", "bfloat16"}
            ``"auto"``: bfloat16 where the processor computes in it and no
            number of the network's differs by 0.002 or more from float32 on
            64 model galaxies; else float32.

        Returns
        -------
        result : `~astropy.table.QTable`
            As from `classify_cutouts`.

        Raises
        ------
        TypeError, ValueError
            As in `classify_cutouts`.
        """
        rows, provenance = self._begin(
            table,
            data,
            bands=bands,
            size=size,
            stretch=stretch,
            views=views,
            batch_size=batch_size,
            precision=precision,
        )
        chunks = list(self._run(rows, self.module, stretch, provenance, progress))
        outputs = {
            name: np.concatenate([chunk[1][name] for chunk in chunks]) for name in chunks[0][1]
        }
        flags = np.concatenate([chunk[2] for chunk in chunks])
        return join(rows.table, outputs, flags, self.card.output, provenance)

    def stream(
        self,
        table: Any,
        data: Any = None,
        *,
        bands: Bands = None,
        size: Any = None,
        stretch: LuptonStretch | Picture | str = "auto",
        views: int = 1,
        batch_size: int = 256,
        precision: str = "auto",
        progress: Progress = None,
    ) -> Iterator[QTable]:
        """
        Classify a table, or a sequence of tables, piece by piece.

        Memory does not grow with the number of rows: three batches at most
        are held at a time.

        Parameters
        ----------
        table, data, bands, size, stretch, views, batch_size, precision, progress
            As in `predict`; ``table`` may also be an iterator over tables or
            `~astrodlkit.Cutouts`, for example from
            `~astrodlkit.cutouts.iter_cutouts`.

        Yields
        ------
        result : `~astropy.table.QTable`
            The results of ``batch_size`` consecutive rows; together they are
            those of `predict`. A table without rows gives one without rows.

        Raises
        ------
        TypeError, ValueError
            As in `predict`, before the first row is computed.
        """
        if isinstance(table, Iterator):
            return (
                result
                for part in table
                for result in self.stream(
                    part,
                    data,
                    bands=bands,
                    size=size,
                    stretch=stretch,
                    views=views,
                    batch_size=batch_size,
                    precision=precision,
                    progress=progress,
                )
            )
        rows, provenance = self._begin(
            table,
            data,
            bands=bands,
            size=size,
            stretch=stretch,
            views=views,
            batch_size=batch_size,
            precision=precision,
        )
        return (
            join(rows.table[part], outputs, flags, self.card.output, provenance)
            for part, outputs, flags in self._run(rows, self.module, stretch, provenance, progress)
        )

    def embed(
        self,
        table: Any,
        data: Any = None,
        *,
        bands: Bands = None,
        size: Any = None,
        stretch: LuptonStretch | Picture | str = "auto",
        views: int = 1,
        batch_size: int = 256,
        precision: str = "auto",
        progress: Progress = None,
    ) -> np.ndarray:
        """
        The features that the network sees in every row.

        Parameters
        ----------
        table, data, bands, size, stretch, views, batch_size, precision, progress
            As in `predict`.

        Returns
        -------
        features : `~numpy.ndarray` of float32, shape (n, d)
            One row for each of the table's; NaN where there are no pixels.

        Raises
        ------
        TypeError, ValueError
            As in `predict`.
        """
        rows, provenance = self._begin(
            table,
            data,
            bands=bands,
            size=size,
            stretch=stretch,
            views=views,
            batch_size=batch_size,
            precision=precision,
        )
        chunks = self._run(rows, self._features, stretch, provenance, progress)
        return np.concatenate([outputs["features"] for _, outputs, _ in chunks])

    def save(self, folder: PathLike, *, overwrite: bool = False) -> ModelCard:
        """
        Write the classifier into a folder that `~astrodlkit.load_model` reads.

        Parameters
        ----------
        folder : str or path-like
            Made if need be.
        overwrite : bool
            Whether existing files may be replaced.

        Returns
        -------
        card : `~astrodlkit.ModelCard`
            The card as written.

        Raises
        ------
        FileExistsError
            If one of the files exists and ``overwrite`` is not set.
        """
        return save_model(folder, self.card, self.module, overwrite=overwrite)

    def _features(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"features": self.module.features(images)}

    @cached_property
    def _bfloat16_difference(self) -> float:
        """Largest difference between the numbers in bfloat16 and in float32 on model galaxies."""
        images = probe_images(self.card.input)
        full, short = (
            run_batches(self.module, images, batch_size=32, device=self.device, precision=precision)
            for precision in ("float32", "bfloat16")
        )
        return max(float(np.abs(full[name] - short[name]).max()) for name in full)

    def _begin(
        self,
        table: Any,
        data: Any,
        *,
        bands: Bands,
        size: Any,
        stretch: LuptonStretch | Picture | str,
        views: int,
        batch_size: int,
        precision: str,
    ) -> tuple[Rows, dict[str, Any]]:
        """Check what can be checked before the first stamp is made."""
        if views not in VIEWS:
            raise ValueError(f"views must be one of {VIEWS}, got {views!r}")
        check_batch_size(batch_size)
        self.module.eval()
        precision = resolve_precision(
            precision, self.device, difference=lambda: self._bfloat16_difference
        )
        rows = read_rows(
            table, data, spec=self.card.input, bands=bands, size=size, step=int(batch_size)
        )
        check_clash(rows.table, self.card.output)
        weights = self.card.weights
        return rows, {
            "model": self.card.full_name,
            "sha256": "" if weights is None else weights.sha256,
            "version": __version__,
            "date": datetime.now(UTC).date().isoformat(),
            "bands": str(bands),
            "stretch": str(stretch),
            "size": rows.size_rule,
            "views": int(views),
            "precision": precision,
        }

    def _run(
        self,
        rows: Rows,
        forward: Callable[[torch.Tensor], Mapping[str, torch.Tensor]],
        stretch: LuptonStretch | Picture | str,
        provenance: Mapping[str, Any],
        progress: Progress,
    ) -> Iterator[tuple[slice, dict[str, np.ndarray], np.ndarray]]:
        """The network's numbers for consecutive rows; the next are prepared meanwhile."""
        forward = averaged(forward, provenance["views"])
        prepared = prefetch(rows.prepared(self.card.input, stretch))
        with progress_bar(rows.n, progress, description=self.card.name) as advance:
            for part, images, flags in prepared:
                seen = (flags & NO_PIXELS) == 0
                answers = run_batches(
                    forward,
                    images[seen],
                    batch_size=rows.step,
                    device=self.device,
                    precision=provenance["precision"],
                )
                outputs = {}
                for name, values in answers.items():
                    outputs[name] = np.full((len(flags), *values.shape[1:]), np.nan, np.float32)
                    outputs[name][seen] = values
                yield part, outputs, np.where(seen, flags, flags | Flag.NO_RESULT).astype(np.int32)
                advance(len(flags))
