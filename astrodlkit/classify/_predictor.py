"""What one classifier and several together do to a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from astropy.table import QTable
from numpy.typing import NDArray

from .. import __version__
from .._flags import Flag
from .._typing import Progress
from ..engine import check_batch_size, prefetch, progress_bar, resolve_precision, run_batches
from ..specs import InputSpec, LuptonStretch, OutputSpec, Picture
from ._results import check_clash, join
from ._rows import NO_PIXELS, Rows, read_rows
from ._stamps import Bands
from ._views import VIEWS, averaged, combined

if TYPE_CHECKING:
    from ._classifier import CutoutClassifier

__all__ = ["Predictor"]

Answer: TypeAlias = Callable[[torch.nn.Module, torch.Tensor], Mapping[str, torch.Tensor]]

# No picture of a training set has holes. With a fifth of its middle missing a stamp is as new as
# one in a hundred.
_MISSED = 0.2 / np.log(100)


@dataclass(frozen=True)
class Group:
    """
    Networks that are shown the same pictures.

    Parameters
    ----------
    spec : InputSpec
        What they take.
    rows : Rows
        The user's rows.
    runs : list of callable
        Each from pictures, shape (m, 3, ny, nx), to a network's numbers.
    """

    spec: InputSpec
    rows: Rows
    runs: list[Callable[[NDArray], dict[str, NDArray]]] = field(default_factory=list)


class Predictor(ABC):
    """Base of what classifies tables: one network, or several whose answers are averaged."""

    @property
    @abstractmethod
    def members(self) -> tuple[CutoutClassifier, ...]:
        """The networks."""

    @property
    @abstractmethod
    def output(self) -> OutputSpec:
        """What their numbers mean."""

    def predict(
        self,
        table: Any,
        data: Any = None,
        *,
        bands: Bands = None,
        size: Any = None,
        stretch: LuptonStretch | Picture | str = "auto",
        views: int = 1,
        interval: float | None = None,
        batch_size: int = 256,
        precision: str = "auto",
        progress: Progress = None,
    ) -> QTable:
        """
        Classify every row of a table.

        Parameters
        ----------
        table, data, bands, size, stretch, views, interval, batch_size, progress
            As in `classify_cutouts`.
        precision : {"auto", "float32", "bfloat16"}
            ``"auto"``: bfloat16 where the processor computes in it and what
            that changes on 64 model galaxies is, in the root mean square, less
            than a tenth of the network's own error; else float32.

        Returns
        -------
        result : `~astropy.table.QTable`
            As from `classify_cutouts`.

        Raises
        ------
        TypeError, ValueError
            As in `classify_cutouts`.
        """
        groups, provenance = self._begin(
            table,
            data,
            bands=bands,
            size=size,
            stretch=stretch,
            views=views,
            interval=interval,
            batch_size=batch_size,
            precision=precision,
            sort=True,
        )
        outputs, flags = self._gather(groups, stretch, progress)
        return join(
            groups[0].rows.table, outputs, flags, self.output, provenance, interval=interval
        )

    def stream(
        self,
        table: Any,
        data: Any = None,
        *,
        bands: Bands = None,
        size: Any = None,
        stretch: LuptonStretch | Picture | str = "auto",
        views: int = 1,
        interval: float | None = None,
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
        table, data, bands, size, stretch, views, interval, batch_size, precision, progress
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
            stream = partial(
                self.stream,
                data=data,
                bands=bands,
                size=size,
                stretch=stretch,
                views=views,
                interval=interval,
                batch_size=batch_size,
                precision=precision,
                progress=progress,
            )
            return (result for part in table for result in stream(part))
        groups, provenance = self._begin(
            table,
            data,
            bands=bands,
            size=size,
            stretch=stretch,
            views=views,
            interval=interval,
            batch_size=batch_size,
            precision=precision,
        )
        return (
            join(
                groups[0].rows.table[part],
                outputs,
                flags,
                self.output,
                provenance,
                interval=interval,
            )
            for part, outputs, flags in self._run(groups, stretch, progress)
        )

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
        interval: float | None = None,
        sort: bool = False,
        answer: Answer = torch.nn.Module.__call__,
    ) -> tuple[list[Group], dict[str, Any]]:
        """Check what can be checked before the first stamp is made."""
        if views not in VIEWS:
            raise ValueError(f"views must be one of {VIEWS}, got {views!r}")
        check_batch_size(batch_size)
        groups: list[Group] = []
        precisions = []
        for member in self.members:
            spec = member.input
            if views == 8 and not spec.mirror:
                raise ValueError(
                    f"views must be 1, 2 or 4 for {member.card.full_name}: its labels tell left "
                    "from right, and 8 views are mirrored ones too"
                )
            member.module.eval()
            precisions.append(
                resolve_precision(
                    precision,
                    member.device,
                    # Measured only where it matters, and then once.
                    difference=partial(getattr, member, "bfloat16_difference"),
                )
            )
            group = next((group for group in groups if group.spec == spec), None)
            if group is None:
                # Each reads the rows anew: how many pixels are cut out follows from the spec.
                rows = read_rows(
                    table, data, spec=spec, bands=bands, size=size, step=int(batch_size), sort=sort
                )
                group = Group(spec, rows)
                groups.append(group)
            network = member.copies.get(member.module, precisions[-1])
            group.runs.append(
                partial(
                    run_batches,
                    averaged(partial(answer, network), views),
                    batch_size=int(batch_size),
                    device=member.device,
                    precision=precisions[-1],
                )
            )
        if answer is torch.nn.Module.__call__:
            spread = views > 1 or len(self.members) > 1
            columns = self.output.column_names(spread=spread, interval=interval)
            check_clash(groups[0].rows.table, columns)
        weights = [member.card.weights for member in self.members]
        return groups, {
            "model": ", ".join(member.card.full_name for member in self.members),
            "sha256": ", ".join("" if each is None else each.sha256 for each in weights),
            "version": __version__,
            "date": datetime.now(UTC).date().isoformat(),
            "bands": str(bands),
            "stretch": str(stretch),
            "size": ", ".join(dict.fromkeys(group.rows.size_rule for group in groups)),
            "views": int(views),
            "precision": ", ".join(dict.fromkeys(precisions)),
        }

    def _gather(
        self, groups: list[Group], stretch: LuptonStretch | Picture | str, progress: Progress
    ) -> tuple[dict[str, NDArray], NDArray]:
        """The numbers and the flags of all rows, in the order of the table."""
        chunks = list(self._run(groups, stretch, progress))
        # Networks that look at the same images have the rows in the same order.
        in_order = groups[0].rows.in_order
        outputs = {
            name: in_order(np.concatenate([chunk[1][name] for chunk in chunks]))
            for name in chunks[0][1]
        }
        return outputs, in_order(np.concatenate([chunk[2] for chunk in chunks]))

    def _run(
        self, groups: list[Group], stretch: LuptonStretch | Picture | str, progress: Progress
    ) -> Iterator[tuple[slice, dict[str, NDArray], NDArray]]:
        """The numbers for consecutive rows; the next pictures are prepared meanwhile."""
        names = ", ".join(member.card.name for member in self.members)
        streams = [prefetch(group.rows.prepared(group.spec, stretch)) for group in groups]
        with progress_bar(groups[0].rows.n, progress, description=names) as advance:
            for pieces in zip(*streams, strict=True):
                flags = np.bitwise_or.reduce([found for _, _, found, _ in pieces])
                seen = (flags & NO_PIXELS) == 0
                answers = [
                    run(images if seen.all() else images[seen])
                    for group, (_, images, *_) in zip(groups, pieces, strict=True)
                    for run in group.runs
                ]
                outputs = {}
                for name, values in combined(answers).items():
                    outputs[name] = np.full((len(flags), *values.shape[1:]), np.nan, np.float32)
                    outputs[name][seen] = values
                if "novelty" in outputs:
                    missing = np.maximum.reduce([part for *_, part in pieces])
                    least = -np.expm1(-missing / _MISSED)[:, None]
                    # NaN stays.
                    outputs["novelty"] = np.maximum(outputs["novelty"], least)
                flags = np.where(seen, flags, flags | Flag.NO_RESULT).astype(np.int32)
                yield pieces[0][0], outputs, flags
                advance(len(flags))
