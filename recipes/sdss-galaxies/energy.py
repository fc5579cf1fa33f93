"""How far two samples of templates are apart in their textures."""

import torch
from features import Reader
from nonparametric import NAMES, nonparametric
from stripes import SCALES, stripes
from textures import smoothed, textures
from torch import Tensor

from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.networks._petrosian import elliptic_radius, petrosian_radius

# Random directions of a step, and rows of earlier batches that are kept: a batch alone says little.
DIRECTIONS, KEPT = 32, 768
# Pixels by which pictures are smoothed before they are read: a grid could please a reader.
READER_GRAIN = 1.5
# Numbers that count alone as well: stripes, asymmetry and the like.
ALONE = len(NAMES) + SCALES


class TextureDistance:
    """
    How far generated templates are from real ones in `textures`, given the conditions.

    The energy distance (Szekely & Rizzo 2013, J. Stat. Plan. Inference, 143, 1249) along each
    texture and, with the same weight, along random directions through textures and conditions: no
    critic has to learn it, and it is right on average for samples of any size. That of asymmetry,
    smoothness, concentration, Gini, M20 and `stripes`, alone, counts as much as all, and so does
    that of these and a reader's answers.

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
        middle, scatter = self.real.mean(0), self.real.std(0).clamp_min(0.05)
        rows, *others = ((part - middle) / scatter for part in (now, self.real, self.made))
        n, distance = now.shape[1] - asked.shape[1], 0.0
        answers = len(self.reader.columns) * sum(self.classes) if self.reader else 0
        for first in sorted({0, n - ALONE - answers, n - ALONE}):
            axes = torch.eye(now.shape[1], device=now.device)[:, first:n]
            slanted = torch.randn(now.shape[1], DIRECTIONS, generator=generator, device=now.device)
            slanted[:first] = 0
            for along in (axes, slanted / slanted[:n].norm(dim=0)):
                to_real, to_made = (_apart(rows @ along, part @ along) for part in others)
                distance = distance + to_real - to_made
        return distance

    def _numbers(self, light: Tensor, conditions: Tensor) -> Tensor:
        """Of templates, (n, n_numbers); the last `ALONE` count alone as well."""
        axis_ratio = self.network.column(conditions, "axis_ratio")
        radius = elliptic_radius(light.shape[-1], axis_ratio)
        reach = petrosian_radius(light[:, 1].detach(), radius)
        found = [textures(light, axis_ratio, reach)]
        if self.reader is not None:
            features = self.reader(smoothed(light, READER_GRAIN))
            off = self.reader.off(features, conditions)[:, :, None]
            found += [features, (off * conditions[:, None, self.classes]).flatten(1)]
        found += [measure(light[:, 1], axis_ratio, reach) for measure in (stripes, nonparametric)]
        return torch.cat(found, 1)


def _kept(before: Tensor | None, new: Tensor) -> Tensor:
    return new if before is None else torch.cat([before, new])[-KEPT:]


def _apart(some: Tensor, others: Tensor) -> Tensor:
    """Mean distance along each axis, averaged over these."""
    return (some[:, None] - others).abs().mean()
