"""
The yardstick: the WGAN of Rodriguez et al. 2018, trained on the same boxes for a given time.

From the paper (Computational Astrophysics and Cosmology 5, 4, table 1): the layers, batch
normalisation in both networks, and maps smoothed with a Gaussian of one pixel. From memory of its
table 2: Adam at 1e-5, batches of 16, a = 4 for x in particles per pixel, a gradient penalty of
1,000. From Gulrajani et al. 2017 (NeurIPS), where the paper was not at hand: five steps of the
critic for one of the generator.

What differs: maps of N pixels start from (N / 16)^2 times 512, which is 8x8 for the training boxes'
128 and 16x16 for the paper's 256; the paper knows one cosmology, here the standardised
logarithms of matter density, sigma8 and 1 + z join z, and are constant channels of the critic's
input; x is the density times the particles of an average pixel, one a cell. Weights are not
averaged.
"""

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from boxes import THICKNESS
from prior import conditions
from scipy.ndimage import gaussian_filter
from slabs import Slabs
from torch import Tensor, nn
from torch.utils.data import DataLoader
from train import training_boxes

from astrodlkit.training import (
    add_process_options,
    fit,
    process_options,
    step_generator,
    this_process,
)

SEED = 51
SMOOTHING = 1.0  # pixels
A = 4.0
# Their table has 200 numbers for the standard GAN and 100 for this one: the larger is taken.
N_NOISE = 200
WIDTHS = (64, 128, 256, 512)


def smoothed(maps: np.ndarray) -> np.ndarray:
    """Periodic maps, smoothed as the paper's."""
    return gaussian_filter(maps, SMOOTHING, axes=(-2, -1), mode="wrap")


class Generator(nn.Module):
    """
    Numbers to a map.

    Parameters
    ----------
    side : int
        Pixels, a multiple of 16.
    particles : float
        In a pixel of average density.
    """

    def __init__(self, side: int, particles: float) -> None:
        super().__init__()
        self.start = side // 16
        self.register_buffer("particles", torch.tensor(float(particles)))
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("spread", torch.ones(3))
        widths = WIDTHS[::-1]
        self.enter = nn.Linear(N_NOISE + 3, widths[0] * self.start**2)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(n_in, n_out, 5, 2, 2, output_padding=1)
            for n_in, n_out in pairwise((*widths, 1))
        )

    def standard(self, conditions: Tensor) -> Tensor:
        """Logarithms of matter density, sigma8 and 1 + z, of mean 0 and variance 1."""
        numbers = (conditions + conditions.new_tensor([0, 0, 1])).log()
        return (numbers - self.centre) / self.spread

    def forward(self, noise: Tensor, conditions: Tensor) -> Tensor:
        """Maps (n, side, side) of s, between -1 and 1."""
        x = self.enter(torch.cat([noise, self.standard(conditions)], 1))
        x = x.view(len(x), -1, self.start, self.start)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(norm(x).relu())
        return x[:, 0].float().tanh()

    def squeezed(self, density: Tensor) -> Tensor:
        """The paper's s(x) = 2 x / (x + a) - 1."""
        return 2 / (1 + A / (density * self.particles)) - 1

    def density(self, squeezed: Tensor) -> Tensor:
        """Its inverse."""
        # At 1 lie infinite densities.
        squeezed = squeezed.clamp_max(1 - 1e-4)
        return A / self.particles * (1 + squeezed) / (1 - squeezed)

    def make(self, n: int, conditions: Tensor, seed: int) -> np.ndarray:
        """Maps of 1 + delta, smoothed, (n, side, side), at conditions (3,)."""
        noise = torch.randn(n, N_NOISE, generator=torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            made = [self.density(self(z, conditions.expand(len(z), 3))) for z in noise.split(16)]
        return torch.cat(made).numpy()


class Critic(nn.Module):
    """Scores (n,) of maps; ``side`` as for `Generator`."""

    def __init__(self, side: int) -> None:
        super().__init__()
        pairs = list(pairwise((4, *WIDTHS)))
        self.layers = nn.ModuleList(nn.Conv2d(n_in, n_out, 5, 2, 2) for n_in, n_out in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in WIDTHS)
        self.leave = nn.Linear(WIDTHS[-1] * (side // 16) ** 2, 1)

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        """Maps (n, side, side) of s with the standardised conditions (n, 3)."""
        constant = numbers[:, :, None, None].expand(-1, -1, *maps.shape[1:])
        x = torch.cat([maps[:, None], constant], 1)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = norm(nn.functional.leaky_relu(layer(x), 0.2))
        return self.leave(x.flatten(1))[:, 0].float()


class WassersteinTask(lightning.LightningModule):
    """
    Generator and critic in turns; each batch is split among the steps of the critic.

    Parameters
    ----------
    generator : Generator
        Whose maps the critic tells from simulated ones.
    rate : float
        Learning rate of both.
    penalty : float
        Weight of the gradient penalty.
    critic_steps : int
        Steps of the critic for one of the generator.
    seed : int
        Of z and of the points between maps.
    """

    def __init__(
        self, generator: Generator, *, rate: float, penalty: float, critic_steps: int, seed: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.critic = generator, Critic(16 * generator.start)
        self.rate, self.penalty = rate, penalty
        self.critic_steps, self.seed = critic_steps, seed
        for module in (self.generator, self.critic):
            for name, weights in module.named_parameters():
                if name.endswith("weight") and "norms" not in name:
                    # As in DCGAN, whose layers these are (Radford et al. 2016, ICLR).
                    nn.init.normal_(weights, std=0.02)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """The critic's steps and one of the generator."""
        step = self.global_step // (self.critic_steps + 1)
        random = step_generator(self.seed, step)
        critic_optimizer, optimizer = self.optimizers()
        self.critic.requires_grad_(True)
        parts = (part.chunk(self.critic_steps) for part in batch)
        for maps, known in zip(*parts, strict=True):
            noise = torch.randn(len(maps), N_NOISE, generator=random)
            with torch.no_grad():
                made = self.generator(noise, known)
            true = self.generator.squeezed(torch.from_numpy(smoothed(maps.numpy())))
            numbers = self.generator.standard(known)
            distance = self.critic(true, numbers).mean() - self.critic(made, numbers).mean()
            loss = self.penalty * self._gradients(true, made, numbers, random) - distance
            critic_optimizer.zero_grad()
            self.manual_backward(loss)
            critic_optimizer.step()

        self.critic.requires_grad_(False)
        made = self.generator(torch.randn(noise.shape, generator=random), known)
        optimizer.zero_grad()
        self.manual_backward(-self.critic(made, numbers).mean())
        optimizer.step()
        self.log_dict({"distance": distance, "penalty": loss + distance})

    def _gradients(
        self, true: Tensor, made: Tensor, numbers: Tensor, random: torch.Generator
    ) -> Tensor:
        """How far gradients between simulated and made maps are from 1, squared."""
        at = true.lerp(made, torch.rand(len(true), 1, 1, generator=random)).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(at, numbers).sum(), at, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()

    def configure_optimizers(self) -> list[Any]:
        """Adam."""
        return [
            torch.optim.Adam(module.parameters(), lr=self.rate, betas=(0.5, 0.999))
            for module in (self.critic, self.generator)
        ]


def read_generator(folder: Path, side: int) -> Generator:
    """The generator that was trained in a folder on maps of a side."""
    generator = Generator(side, 1)
    generator.load_state_dict(torch.load(folder / "wgan.pt", weights_only=True))
    return generator.eval()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("truth", type=Path, help="folder that truth.py was given")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    parser.add_argument("--scale", choices=THICKNESS, default="500mpc")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="train for as long, interruptions left out")
    length.add_argument("--steps", type=int, help="steps of the generator")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-5)
    parser.add_argument("--penalty", type=float, default=1000.0)
    parser.add_argument("--critic-steps", type=int, default=5)
    parser.add_argument("--seed", type=int, default=SEED)
    add_process_options(parser)
    args = parser.parse_args()

    args.folder.mkdir(parents=True, exist_ok=True)
    boxes, _ = training_boxes(args.truth / args.scale)
    torch.manual_seed(args.seed)
    generator = Generator(boxes[0].settings["side"], THICKNESS[args.scale])
    known = np.concatenate([conditions(box) for box in boxes])
    logs = np.log(known + np.array([0, 0, 1]))
    generator.centre[:], generator.spread[:] = map(torch.from_numpy, (logs.mean(0), logs.std(0)))
    task = WassersteinTask(
        generator,
        rate=args.rate,
        penalty=args.penalty,
        critic_steps=args.critic_steps,
        seed=args.seed,
    )
    # Lightning counts the steps of both.
    each = args.critic_steps + 1
    last = args.folder / "last.ckpt"
    done = torch.load(last, weights_only=True)["global_step"] // each if last.exists() else 0
    fit(
        task,
        DataLoader(
            Slabs(boxes, args.critic_steps * args.batch_size, args.seed, done), batch_size=None
        ),
        folder=args.folder,
        max_steps=each * args.steps if args.steps else -1,
        max_time={"minutes": args.minutes} if args.minutes else None,
        seed=args.seed,
        decay=0.0,
        checkpoint_every=20 * each,
        **process_options(args, partial=True),
    )
    if this_process().rank == 0:
        torch.save(generator.state_dict(), args.folder / "wgan.pt")
        print(f"{task.global_step // each} steps of the generator")


if __name__ == "__main__":
    main()
