"""How far two samples of templates are apart in their textures."""

import torch
from features import Reader
from textures import textures
from torch import Tensor

from astrodlkit.networks import GalaxyTemplateNetwork

# Random directions of a step, and rows of earlier batches that are kept: a batch alone says little.
DIRECTIONS, KEPT = 32, 768


class TextureDistance:
    """
    How far generated templates are from real ones in `textures`, given the conditions.

    The energy distance (Szekely & Rizzo 2013, J. Stat. Plan. Inference, 143, 1249) along each
    texture and along random directions through textures and conditions: no critic has to learn
    it, and it is right on average for samples of any size.

    Parameters
    ----------
    network : GalaxyTemplateNetwork
        Which knows of what order conditions are.
    reader : Reader, optional
        Whose features are textures too, and by how much its answers miss the conditions, in each
        class: those of generated templates are to miss as those of real ones do, and no less.
    """

    def __init__(self, network: GalaxyTemplateNetwork, reader: Reader | None = None) -> None:
        self.network, self.reader = network, reader
        self.classes = [name.startswith("class_") for name in network.condition_names]
        self.real: Tensor | None = None
        self.made: Tensor | None = None

    def __call__(
        self, real: Tensor, made: Tensor, conditions: Tensor, generator: torch.Generator
    ) -> Tensor:
        """
        The part of the distance that the generated templates of a batch can change.

        Parameters
        ----------
        real, made : Tensor, (n, 3, side, side)
            Of the same conditions, with noise.
        conditions : Tensor, (n, n_conditions)
            Of the galaxies.
        generator : `torch.Generator`
            Of the directions.
        """
        asked = self.network.deck.standard(conditions)
        now = torch.cat([self._numbers(made, conditions), asked], 1)
        with torch.no_grad():
            seen = torch.cat([self._numbers(real, conditions), asked], 1)
        self.real, self.made = _kept(self.real, seen), _kept(self.made, now.detach())
        n = now.shape[1] - asked.shape[1]
        directions = torch.randn(now.shape[1], DIRECTIONS, generator=generator, device=now.device)
        directions = directions / directions[:n].norm(dim=0)

        def along(rows: Tensor) -> Tensor:
            rows = (rows - self.real.mean(0)) / self.real.std(0).clamp_min(0.05)
            return torch.cat([rows[:, :n], rows @ directions], 1)

        return _apart(along(now), along(self.real)) - _apart(along(now), along(self.made))

    def _numbers(self, light: Tensor, conditions: Tensor) -> Tensor:
        found = textures(light, self.network.column(conditions, "axis_ratio"))
        if self.reader is None:
            return found
        features = self.reader(light)
        off = self.reader.off(features, conditions)[:, :, None] * conditions[:, None, self.classes]
        return torch.cat([found, features, off.flatten(1)], 1)


def _kept(before: Tensor | None, new: Tensor) -> Tensor:
    return new if before is None else torch.cat([before, new])[-KEPT:]


def _apart(some: Tensor, others: Tensor) -> Tensor:
    """Mean distance along each axis, averaged over these."""
    return (some[:, None] - others).abs().mean()
