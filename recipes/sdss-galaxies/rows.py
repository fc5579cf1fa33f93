"""Templates of real galaxies with their conditions, as networks are taught and judged by them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path

import h5py
import numpy as np
import torch
from measure import HALF_LIGHT
from torch import Tensor
from torch.utils.data import IterableDataset

from astrodlkit.networks._petrosian import elliptic_radius, petrosian_fade, petrosian_radius
from astrodlkit.training import this_process

# Noise in colour: over how many pixels its parts correlate, and their shares of the variance, the
# first of what is as coarse as the noise that bands share.
COLOUR_GRAINS, COLOUR_SHARES = (1.2, 3.0, 6.0), (0.17, 0.14, 0.2, 0.49)
# It comes and goes over so many pixels, as compressed pictures keep it, and by what: standard
# deviation of the logarithm.
BURST_GRAIN, BURST = 3.0, 0.4
# Of the light: what 8 bits and compression leave of a stretched picture (gradation.py).
GRADATION = 0.058
# Noise is coarser where it is dark, as compressed pictures keep it: by how many times the sharpest,
# and at how many times the row's level 1/e of that is left; and how lopsided, and where 1/e of that
# (gradation.py).
COARSER, COARSE_LEVEL = 1.55, 0.6
LOPSIDED, LOPSIDED_LEVEL = 0.18, 1.6


@dataclass(frozen=True)
class Rows:
    """
    Galaxies, one row each.

    Attributes
    ----------
    templates : `~numpy.ndarray` of float16, (n, 3, side, side)
        In g, r and i.
    conditions : `~numpy.ndarray` of float32, (n, n_conditions)
        In the order of ``astrodlkit.networks.GalaxyTemplateNetwork``.
    noise : `~numpy.ndarray` of float32, (n, 3)
        Standard deviation of the noise in g, r and i, in the template's unit.
    level : `~numpy.ndarray` of float32, (n, 3)
        Light where that is so, in the same unit.
    dark : `~numpy.ndarray` of float32, (n,)
        What is left of the noise where there is no light; between, it goes with the light.
    colour : `~numpy.ndarray` of float32, (n, 3)
        Standard deviation of the noise that each band has for itself, in units of ``noise``, which
        they share.
    grain : `~numpy.ndarray` of float32, (n,)
        Full width at half maximum of the PSF in pixels, to which the noise's is proportional.
    reach : `~numpy.ndarray` of float32, (n,)
        Petrosian radius in pixels.
    split, class5 : `~numpy.ndarray` of int, (n,)
        0 training, 1 validation; what volunteers said, or -1.
    brightness : `~numpy.ndarray` of float32, (n,)
        Nanomaggies per square arcsecond of a picture in the template's unit.
    width : `~numpy.ndarray` of float32, (n,)
        Of a picture as Galaxy Zoo 2's, in pixels of the template.
    """

    templates: np.ndarray
    conditions: np.ndarray
    noise: np.ndarray
    level: np.ndarray
    dark: np.ndarray
    colour: np.ndarray
    grain: np.ndarray
    reach: np.ndarray
    split: np.ndarray
    class5: np.ndarray
    brightness: np.ndarray
    width: np.ndarray

    def __len__(self) -> int:
        return len(self.templates)

    def __getitem__(self, rows: np.ndarray | slice) -> "Rows":
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def read(cls, work: Path) -> "Rows":
        """From the folder that templates.py and conditions.py worked in."""
        with h5py.File(work / "templates.h5") as file, h5py.File(work / "conditions.h5") as more:
            if not np.array_equal(file["row"], more["row"]):
                raise SystemExit(f"{work}/conditions.h5 is of other templates: run conditions.py")
            zoom = file["zoom"][()]
            return cls(
                templates=file["templates"][()],
                conditions=more["conditions"][()],
                noise=more["noise"][()],
                level=more["level"][()],
                dark=more["dark"][()],
                colour=more["colour"][()],
                grain=file["psf_fwhm"][()] * np.float32(HALF_LIGHT),
                reach=file["petrosian_radius"][()] / zoom,
                split=file["split"][()],
                class5=file["class5"][()],
                brightness=more["brightness"][()],
                width=4.24 * file["petro_r90"][()] / zoom,
            )

    def tensors(self, rows: np.ndarray | slice = slice(None)) -> dict[str, Tensor]:
        """What a training step needs of some rows; templates stay as they are."""
        names = "templates", "conditions", "noise", "level", "dark", "colour", "grain"
        return {name: torch.from_numpy(getattr(self, name)[rows]) for name in names}


def add_noise(
    light: Tensor, rows: dict[str, Tensor], axis_ratio: Tensor, generator: torch.Generator
) -> Tensor:
    """
    Templates with noise as real ones have it.

    The more the brighter it is, and less, coarser and lopsided where pictures are nearly black.
    It fades with the templates.

    Parameters
    ----------
    light : Tensor, (n, 3, side, side)
        Without noise; fades where it ends.
    rows : dict of Tensor
        ``noise``, ``level``, ``dark``, ``colour`` and ``grain`` of `Rows`.
    axis_ratio : Tensor, (n,)
        Of the galaxies.
    generator : `torch.Generator`
        Where the noise comes from.
    """
    sky, fade = rows["noise"][:, :, None, None], fade_of(light.detach(), axis_ratio)
    # As bright as it was before it faded.
    whole = (light.detach() / fade.clamp_min(0.01)).clamp_min(0)
    bright = whole / rows["level"][:, :, None, None]
    sky = sky * (1 - (1 - rows["dark"][:, None, None, None]) * (1 - bright).clamp_min(0))
    strength = fade * torch.hypot(sky, GRADATION * whole)
    noise = strength * unit_noise(light.shape, rows, generator, bright[:, 1:2])
    # Templates are of unit flux, and have the colours that are asked for, with their noise.
    noise = noise - strength * noise.sum((2, 3), True) / strength.sum((2, 3), True).clamp_min(1e-9)
    return light + noise


def fade_of(light: Tensor, axis_ratio: Tensor) -> Tensor:
    """By how much templates without noise were made to fade, (n, 1, side, side)."""
    radius = elliptic_radius(light.shape[-1], axis_ratio)
    return petrosian_fade(radius, petrosian_radius(light[:, 1], radius))[:, None]


def unit_noise(
    shape: Sequence[int],
    rows: dict[str, Tensor],
    generator: torch.Generator,
    bright: Tensor | None = None,
) -> Tensor:
    """
    Noise, (n, 3, side, side), of variance 1 but for the colours'.

    In all bands together, as coarse as the pixels of the sky camera, of which the PSF tells the
    size, and in each, as coarse as compressed pictures keep colours, more in some places than in
    others. Gaussian, or, if it is told how ``bright`` the light is, (n, 1, side, side) in units of
    the rows' ``level``, as it is where that is dark.
    """
    # SDSS's pixels are 0.3 of the PSF's width; linear interpolation between them is as smooth as
    # a Gaussian of half a pixel.
    n, _, *sides = shape
    grain = 0.15 * rows["grain"]
    where = grain.device
    white = torch.randn(n, 1, *sides, generator=generator, device=where)
    together = _grainy(white, grain.clamp_min(0.4))
    if bright is not None:
        dark, lopsided = ((-bright / level).exp() for level in (COARSE_LEVEL, LOPSIDED_LEVEL))
        together = together.lerp(_grainy(white, (COARSER * grain).clamp_min(0.4)), dark)
        together = together + LOPSIDED * lopsided * (together.square() - 1)
    burst, *alone = (
        _grainy(
            torch.randn(n, bands, *sides, generator=generator, device=where),
            torch.full_like(grain, size),
        )
        for bands, size in ((1, BURST_GRAIN), *((shape[1], size) for size in COLOUR_GRAINS))
    )
    white = torch.randn(n, shape[1], *sides, generator=generator, device=where)
    alone.insert(0, _grainy(white, grain.clamp_min(0.4)))
    alone = sum(share**0.5 * part for share, part in zip(COLOUR_SHARES, alone, strict=True))
    alone = (BURST * burst - BURST**2).exp() * alone
    return together + rows["colour"][:, :, None, None] * alone


def _grainy(white: Tensor, sigma: Tensor) -> Tensor:
    """White noise smoothed with a Gaussian of ``sigma`` (n,) pixels, of variance 1 again."""
    side, where = white.shape[-1], white.device
    k2 = torch.fft.fftfreq(side, device=where)[:, None] ** 2
    k2 = k2 + torch.fft.rfftfreq(side, device=where) ** 2
    window = (-2 * torch.pi**2 * sigma[:, None, None] ** 2 * k2).exp()
    twice = torch.full_like(window[:1, :1], 2.0)
    twice[..., 0] = twice[..., -1] = 1
    scatter = ((window**2 * twice).sum((1, 2)) / side**2).sqrt()
    waves = torch.fft.rfft2(white) * (window / scatter[:, None, None])[:, None]
    return torch.fft.irfft2(waves, s=(side, side))


class Batches(IterableDataset):
    """
    Batches of rows, without end; each is mirrored along x, along y, along both or not.

    Parameters
    ----------
    rows : Rows
        Held in memory.
    batch_size : int
        Rows in a batch.
    seed : int
        Batch i depends on the seed and i; of several processes each takes every so many-th.
    first : int
        The batch of each process to begin with.
    device : `torch.device` or str
        Whose memory.
    """

    def __init__(
        self,
        rows: Rows,
        batch_size: int,
        seed: int,
        first: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.known = {name: values.to(device) for name, values in rows.tensors().items()}
        self.n, self.batch_size, self.seed, self.first = len(rows), batch_size, seed, first

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        rank, n = this_process()
        for i in count(self.first * n + rank, n):
            rng = np.random.default_rng([self.seed, i])
            chosen = np.sort(rng.choice(self.n, self.batch_size, replace=False))
            device = self.known["templates"].device
            rows = torch.from_numpy(chosen).to(device)
            batch = {name: values[rows].float() for name, values in self.known.items()}
            for axis in (2, 3):
                turned = torch.from_numpy(rng.integers(2, size=self.batch_size)).to(device)
                light = batch["templates"]
                mirrored = light.flip(axis)
                batch["templates"] = torch.where(turned[:, None, None, None] == 1, mirrored, light)
            yield batch
