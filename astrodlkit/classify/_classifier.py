"""The object behind `classify_cutouts`: a card, a network, and what they do to a table."""

from functools import cached_property
from typing import Any, cast

import numpy as np
import torch

from .._typing import PathLike, Progress
from ..engine import InferenceCopies, resolve_device, run_batches
from ..pretrained import ModelCard, save_model
from ..specs import InputSpec, LuptonStretch, OutputSpec, Picture
from ._fine_tune import fine_tune
from ._neighbours import find_similar
from ._predictor import Predictor
from ._probe import difference_in_errors, probe_images
from ._stamps import Bands

__all__ = ["CutoutClassifier"]


class CutoutClassifier(Predictor):
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
        if card.input is None or card.output is None:
            raise ValueError(f"card must be one for the task 'classify', got {card.task!r}")
        self.card = card
        self.device = resolve_device(device)
        self.module = module.to(self.device, memory_format=torch.channels_last).eval()
        self.copies = InferenceCopies((3, *card.input.shape))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.card.full_name} on {self.device}>"

    @property
    def members(self) -> tuple["CutoutClassifier", ...]:
        """The classifier itself: the only network that it asks."""
        return (self,)

    @property
    def input(self) -> InputSpec:
        """What the network takes."""
        return cast("InputSpec", self.card.input)

    @property
    def output(self) -> OutputSpec:
        """What the network's numbers mean."""
        return cast("OutputSpec", self.card.output)

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
        groups, _ = self._begin(
            table,
            data,
            bands=bands,
            size=size,
            stretch=stretch,
            views=views,
            batch_size=batch_size,
            precision=precision,
            sort=True,
            answer=lambda network, images: {"features": network.features(images)},
        )
        outputs, _ = self._gather(groups, stretch, progress)
        return outputs["features"]

    find_similar = find_similar

    fine_tune = fine_tune

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

    @cached_property
    def bfloat16_difference(self) -> float:
        """Difference that bfloat16 makes on model galaxies, in units of the network's error."""
        images = probe_images(self.input)
        full, short = (
            run_batches(
                self.copies.get(self.module, precision),
                images,
                batch_size=32,
                device=self.device,
                precision=precision,
            )
            for precision in ("float32", "bfloat16")
        )
        return difference_in_errors(full, short, self.output)
