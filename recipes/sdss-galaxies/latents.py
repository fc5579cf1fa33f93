"""
Fit a new flow to the latent numbers that the encoder finds; resumes where it was interrupted.

.. code-block:: console

    $ python recipes/sdss-galaxies/latents.py WORK E FLOW

The rest of the network stays as it is. It prints the nats of a galaxy, but for a constant, on the
validation split: a flow that was fitted beside an encoder that learns is behind it.
"""

import argparse
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import lightning
import numpy as np
import torch
from rows import Rows
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from train import SEED, network_options, read_network

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

STEPS, BATCH, RATE, WEIGHT_DECAY = 2_500, 512, 1e-3, 0.1
MIRRORS = (), (2,), (3,), (2, 3)


def with_new_flow(
    old: GalaxyTemplateNetwork, n_layers: int, n_hidden: int
) -> GalaxyTemplateNetwork:
    """A network with a flow that changes nothing, and the rest of another."""
    state = old.state_dict()
    options = network_options(state) | {"flow_layers": n_layers, "flow_hidden": n_hidden}
    network = GalaxyTemplateNetwork(**options)
    rest = {name: value for name, value in state.items() if not name.startswith("flow.")}
    network.load_state_dict(rest, strict=False)
    return network


@torch.inference_mode()
def encoded(network: GalaxyTemplateNetwork, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    """
    Posteriors of galaxies as each is mirrored: means, log variances, and their conditions.

    The first two have the shape (n, 4, n_global).
    """
    conditions, found = torch.from_numpy(rows.conditions), []
    for start in range(0, len(rows), 128):
        part = slice(start, start + 128)
        light = torch.from_numpy(rows.templates[part]).float()
        each = [network.posterior(light.flip(axes), conditions[part]) for axes in MIRRORS]
        found.append([torch.stack(numbers, 1) for numbers in zip(*each, strict=True)])
    mean, log_variance = (torch.cat(parts) for parts in zip(*found, strict=True))
    return mean.clone(), log_variance.clone(), network.deck.standard(conditions).clone()


def nats(flow: CouplingFlow, own: Tensor, conditions: Tensor) -> Tensor:
    """How unlikely latent numbers are, but for a constant, (n,)."""
    gaussian, volume = flow.inverse(own, conditions)
    return gaussian.square().sum(1) / 2 - volume


class Drawn(IterableDataset):
    """Batches of posteriors, one of the mirrored galaxies each, without end."""

    def __init__(self, posteriors: tuple[Tensor, Tensor, Tensor], seed: int, first: int) -> None:
        self.posteriors, self.seed, self.first = posteriors, seed, first

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        mean, log_variance, conditions = self.posteriors
        rank, n = this_process()
        for i in count(self.first * n + rank, n):
            rng = np.random.default_rng([self.seed, i])
            row = torch.from_numpy(rng.integers(len(mean), size=BATCH))
            mirror = torch.from_numpy(rng.integers(len(MIRRORS), size=BATCH))
            yield mean[row, mirror], log_variance[row, mirror], conditions[row]


class FlowTask(lightning.LightningModule):
    """
    A flow that learns what numbers an encoder finds.

    Parameters
    ----------
    flow : CouplingFlow
        New.
    max_steps : int
        Of the training.
    seed : int
        Of what is drawn from the posteriors.
    """

    def __init__(self, flow: CouplingFlow, *, max_steps: int, seed: int) -> None:
        super().__init__()
        self.flow, self.max_steps, self.seed = flow, max_steps, seed

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        """Nats of a batch."""
        mean, log_variance, conditions = batch
        generator = step_generator(self.seed, self.global_step, self.device)
        noise = torch.randn(mean.shape, generator=generator, device=self.device)
        loss = nats(self.flow, mean + (log_variance / 2).exp() * noise, conditions).mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> tuple[list, list]:
        """AdamW, up and along a cosine to zero."""
        optimizer = torch.optim.AdamW(self.flow.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
        schedule = warm_up_and_cosine(optimizer, self.max_steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument("start", type=Path, help="folder of train.py, file or name")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    parser.add_argument("--layers", type=int, default=8, help="of the new flow")
    parser.add_argument("--hidden", type=int, default=192, help="of its networks")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=SEED)
    add_process_options(parser)
    args = parser.parse_args()

    rows = Rows.read(args.work)
    with torch.random.fork_rng():
        torch.manual_seed(args.seed)
        network = with_new_flow(read_network(args.start), args.layers, args.hidden).eval()
    last = args.folder / "last.ckpt"
    done = torch.load(last, weights_only=True)["global_step"] if last.exists() else 0
    fit(
        FlowTask(network.flow, max_steps=args.steps, seed=args.seed),
        DataLoader(
            Drawn(encoded(network, rows[rows.split == 0]), args.seed, done), batch_size=None
        ),
        folder=args.folder,
        max_steps=args.steps,
        seed=args.seed,
        precision="32-true",
        **process_options(args),
    )
    if this_process().rank > 0:
        return
    torch.save(network.state_dict(), args.folder / "network.pt")
    mean, log_variance, conditions = encoded(network, rows[rows.split == 1])
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(args.seed))
    own = mean + (log_variance / 2).exp() * noise
    with torch.inference_mode():
        each = torch.stack([nats(network.flow, part, conditions) for part in own.unbind(1)])
    print(f"{each.mean():.2f} nats, {len(mean)} galaxies kept apart")


if __name__ == "__main__":
    main()
