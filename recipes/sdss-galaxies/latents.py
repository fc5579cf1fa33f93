"""
Give a network a flow that draws latent numbers as its encoder finds them; resumes.

.. code-block:: console

    $ python recipes/sdss-galaxies/latents.py WORK F FLOW

A flow that is fitted beside an encoder lags behind it, and one that is fitted alone learns its few
galaxies by heart. So a velocity field is fitted first (flow matching: Lipman et al. 2023, ICLR),
which keeps more of what is alike in galaxies of like conditions, but has to be asked twenty times
for a galaxy. The flow then learns from as many drawn galaxies as are needed where the field
takes Gaussian numbers, and how likely they are. The field draws too few unusual galaxies: last the
flow learns from the encoder's own numbers, in few steps. The rest of the network stays as it is.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import lightning
import numpy as np
import torch
from candidates import BFLOAT16
from rows import Rows
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from train import SEED, read_network, renewed

from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.networks._coupling_flow import CouplingFlow
from astrodlkit.training import (
    add_process_options,
    fit,
    process_options,
    step_generator,
    this_process,
    warm_up_and_cosine,
)

BATCH = 512
MIRRORS = (), (2,), (3,), (2, 3)
# Of the velocity field; more steps, and it knows the galaxies that it learned from by heart.
FIELD_STEPS, FIELD_RATE, FIELD_DECAY, FIELD_DROPOUT = 2_000, 1.5e-3, 0.05, 0.1
WIDTH, DEPTH = 384, 3
# How often each galaxy's conditions are drawn for, and every other time how far beside them, in
# standard deviations; and steps along the field.
TIMES, BESIDE, ALONG = 12, 0.15, 10
FLOW_STEPS, FLOW_RATE, FLOW_DECAY = 2_000, 1.5e-3, 0.02
# Of where the field takes numbers, beside how likely they are.
WHERE = 0.1
OWN_STEPS, OWN_RATE = 300, 3e-4
# How much further out numbers are drawn than the encoder finds them: what it makes of these is less
# lopsided than the galaxies were.
WIDER = 1.03


class VelocityField(nn.Module):
    """
    Where numbers move on the way from Gaussian ones to an encoder's, given conditions.

    Parameters
    ----------
    n, n_conditions : int
        Numbers of a row, and that go with it.
    """

    def __init__(self, n: int, n_conditions: int) -> None:
        super().__init__()
        self.when = _two_layers(2 * 16)
        self.given = _two_layers(n_conditions)
        self.enter = nn.Linear(n, WIDTH)
        self.blocks = nn.ModuleList(_Block() for _ in range(DEPTH))
        self.leave = nn.Linear(WIDTH, n)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        waves = torch.linspace(0, math.log(100), 16).exp()
        self.register_buffer("waves", waves, persistent=False)

    def forward(self, numbers: Tensor, time: Tensor, conditions: Tensor) -> Tensor:
        """Velocities, (n, n_numbers); time, (n, 1), is 0 at Gaussian numbers and 1 at the end."""
        phase = time * self.waves
        beside = self.when(torch.cat([phase.sin(), phase.cos()], 1)) + self.given(conditions)
        hidden, beside = self.enter(numbers), nn.functional.silu(beside)
        for block in self.blocks:
            hidden = block(hidden, beside)
        return self.leave(hidden)

    def carried(self, numbers: Tensor, conditions: Tensor) -> Tensor:
        """Where Gaussian numbers end, (n, n_numbers), by Heun's steps."""
        for k in range(ALONG):
            now, then = (numbers.new_full((len(numbers), 1), (k + j) / ALONG) for j in (0, 1))
            first = self(numbers, now, conditions)
            second = self(numbers + first / ALONG, then, conditions)
            numbers = numbers + (first + second) / (2 * ALONG)
        return numbers


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.modulation = nn.Linear(WIDTH, 3 * WIDTH)
        self.first, self.second = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.dropout = nn.Dropout(FIELD_DROPOUT)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, hidden: Tensor, beside: Tensor) -> Tensor:
        scale, shift, share = self.modulation(beside).chunk(3, 1)
        inner = self.first(self.norm(hidden) * (1 + scale) + shift)
        return hidden + share * self.second(self.dropout(nn.functional.silu(inner)))


def _two_layers(n: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))


def own_numbers(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """Latent numbers from an encoder's posteriors, (n, n_numbers)."""
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return mean + (log_variance / 2).exp() * noise


def nats(flow: CouplingFlow, own: Tensor, conditions: Tensor, wider: float = 1.0) -> Tensor:
    """How unlikely latent numbers are, but for a constant, (n,), as if they were ``wider``."""
    gaussian, volume = flow.inverse(own, conditions)
    return (wider * gaussian).square().sum(1) / 2 - volume


class _Task(lightning.LightningModule):
    """What learns by AdamW, up and along a cosine to zero."""

    rate: float
    decay: float

    def __init__(self, learner: nn.Module, seed: int, max_steps: int) -> None:
        super().__init__()
        self.learner, self.seed, self.max_steps = learner, seed, max_steps

    def configure_optimizers(self) -> tuple[list, list]:
        """The optimizer and its schedule."""
        parameters = self.learner.parameters()
        optimizer = torch.optim.AdamW(parameters, lr=self.rate, weight_decay=self.decay)
        schedule = warm_up_and_cosine(optimizer, self.max_steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class FieldTask(_Task):
    """A velocity field that learns the straight ways from Gaussian numbers to an encoder's."""

    rate, decay = FIELD_RATE, FIELD_DECAY

    def training_step(self, batch: Sequence[Tensor], _: int) -> Tensor:
        """How far velocities are off."""
        mean, log_variance, conditions = batch
        generator = step_generator(self.seed, self.global_step, self.device)
        own = own_numbers(mean, log_variance, generator)
        start = torch.randn(mean.shape, generator=generator, device=self.device)
        # Most often in the middle of the way.
        time = torch.randn(len(mean), 1, generator=generator, device=self.device).sigmoid()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=BFLOAT16):
            found = self.learner(start.lerp(own, time), time, conditions)
        loss = (found.float() - (own - start)).square().sum(1).mean()
        self.log("loss", loss)
        return loss


class FlowTask(_Task):
    """A flow that learns where a field takes Gaussian numbers, and how likely these places are."""

    rate, decay = FLOW_RATE, FLOW_DECAY

    def training_step(self, batch: Sequence[Tensor], _: int) -> Tensor:
        """Nats, and how far off."""
        start, end, conditions = batch
        off = (self.learner(start, conditions) - end).square().sum(1)
        loss = (nats(self.learner, end, conditions) + WHERE * off).mean()
        self.log("loss", loss)
        return loss


class OwnTask(_Task):
    """A flow that learns how likely an encoder's own numbers are."""

    rate, decay = OWN_RATE, FLOW_DECAY

    def training_step(self, batch: Sequence[Tensor], _: int) -> Tensor:
        """Nats."""
        mean, log_variance, conditions = batch
        generator = step_generator(self.seed, self.global_step, self.device)
        own = own_numbers(mean, log_variance, generator)
        loss = nats(self.learner, own, conditions, WIDER).mean()
        self.log("loss", loss)
        return loss


class Drawn(IterableDataset):
    """Batches of rows of tensors, without end; batch i depends on the seed and i."""

    def __init__(self, rows: Sequence[Tensor], seed: int, first: int) -> None:
        self.rows, self.seed, self.first = rows, seed, first

    def __iter__(self) -> Iterator[list[Tensor]]:
        rank, n = this_process()
        for i in count(self.first * n + rank, n):
            rng = np.random.default_rng([self.seed, i])
            chosen = torch.from_numpy(rng.integers(len(self.rows[0]), size=BATCH))
            yield [part[chosen] for part in self.rows]


@torch.no_grad()
def encoded(network: GalaxyTemplateNetwork, rows: Rows) -> list[Tensor]:
    """Means and log variances of posteriors, and conditions, each galaxy in four mirrored rows."""
    conditions, found = torch.from_numpy(rows.conditions), []
    for axes in MIRRORS:
        for start in range(0, len(rows), 128):
            part = slice(start, start + 128)
            light = torch.from_numpy(rows.templates[part]).float().flip(axes)
            numbers = network.deck.standard(conditions[part])
            found.append((*network.posterior(light, conditions[part]), numbers))
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


@torch.no_grad()
def carried(field: VelocityField, n: int, conditions: Tensor, seed: int) -> list[Tensor]:
    """Gaussian numbers, where the field takes them, and the conditions that they are for."""
    random, found = torch.Generator().manual_seed(seed), []
    for k in range(TIMES):
        off = BESIDE * (k % 2) * torch.randn(conditions.shape, generator=random)
        for part in (conditions + off).split(1024):
            start = torch.randn(len(part), n, generator=random)
            with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
                found.append((start, field.carried(start, part).float(), part))
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument("start", type=Path, help="folder of train.py, file or name")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    parser.add_argument("--layers", type=int, default=12, help="of the new flow")
    parser.add_argument("--hidden", type=int, default=192, help="of its networks")
    parser.add_argument("--steps", type=int, help="of each, by default as they are known to need")
    parser.add_argument("--seed", type=int, default=SEED)
    add_process_options(parser)
    args = parser.parse_args()

    rows = Rows.read(args.work)
    with torch.random.fork_rng():
        torch.manual_seed(args.seed)
        network = renewed(
            read_network(args.start), "flow", flow_layers=args.layers, flow_hidden=args.hidden
        ).eval()
        field = VelocityField(network.n_global, len(network.condition_names))

    def learn(task: lightning.LightningModule, data: list[Tensor], name: str) -> None:
        last = args.folder / name / "last.ckpt"
        done = torch.load(last, weights_only=True)["global_step"] if last.exists() else 0
        fit(
            task,
            DataLoader(Drawn(data, args.seed, done), batch_size=None),
            folder=args.folder / name,
            max_steps=task.max_steps,
            seed=args.seed,
            precision="32-true",
            **process_options(args),
        )

    training = rows[rows.split == 0]
    posteriors = encoded(network, training)
    learn(FieldTask(field, args.seed, args.steps or FIELD_STEPS), posteriors, "field")
    conditions = network.deck.standard(torch.from_numpy(training.conditions))
    pairs = carried(field.cpu().eval(), network.n_global, conditions, args.seed)
    learn(FlowTask(network.flow.train(), args.seed, args.steps or FLOW_STEPS), pairs, "flow")
    learn(OwnTask(network.flow, args.seed, args.steps or OWN_STEPS), posteriors, "own")
    if this_process().rank > 0:
        return
    torch.save(network.state_dict(), args.folder / "network.pt")
    mean, log_variance, conditions = encoded(network, rows[rows.split == 1])
    own = own_numbers(mean, log_variance, torch.Generator().manual_seed(args.seed))
    with torch.inference_mode():
        print(f"{nats(network.flow, own, conditions).mean():.2f} nats of {len(own)} kept apart")


if __name__ == "__main__":
    main()
