"""
Teach a small network to read off templates what was said and measured of the galaxies.

.. code-block:: console

    $ python recipes/sdss-galaxies/features.py WORK READER

It prints how much of each answer's variance it explains on the validation split. What it sees on
the way to its answers are features in which generated templates can be compared with real ones
(``train.py --reader``): arms, bars and bulges, which no formula of ``textures.py`` has.
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import lightning
import numpy as np
import torch
from critic import SOFT
from rows import Batches, Rows
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss
from torch.utils.data import DataLoader

from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.training import (
    add_process_options,
    fit,
    process_options,
    this_process,
    warm_up_and_cosine,
)

STEPS, RATE, SEED = 3_000, 2e-3, 73
N_FEATURES = 48


class Reader(nn.Module):
    """
    Features of templates, and answers that follow from them.

    Answers are conditions, of mean 0 and variance 1, but for classes and the sharpness of pictures:
    classes are the classifier's where volunteers have not said them, which is a judge later.

    Parameters
    ----------
    n_answers : int
        Numbers that are read off.
    widths : sequence of int
        Channels at 80, 40, 20, 10 and 5 pixels.
    """

    def __init__(self, n_answers: int, widths: Sequence[int] = (3, 32, 64, 96, 128)) -> None:
        super().__init__()
        self.register_buffer("columns", torch.zeros(n_answers, dtype=torch.long))
        self.register_buffer("centre", torch.zeros(n_answers))
        self.register_buffer("spread", torch.ones(n_answers))
        layers = [
            nn.Sequential(
                nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(8, b), nn.SiLU(),
                nn.Conv2d(b, b, 3, padding=1), nn.GroupNorm(8, b), nn.SiLU(),
            )
            for a, b in pairwise(widths)
        ]  # fmt: skip
        self.layers = nn.Sequential(*layers)
        self.leave = nn.Linear(widths[-1], N_FEATURES)
        self.answers = nn.Linear(N_FEATURES, n_answers)

    def forward(self, light: Tensor) -> Tensor:
        """Features, (n, `N_FEATURES`) between -1 and 1, of g, r and i (n, 3, side, side)."""
        bands = (light / SOFT).asinh()
        maps = torch.cat([bands[:, 1:2] / 3, bands[:, ::2] - bands[:, 1:2]], 1)
        return self.leave(self.layers(maps).mean((2, 3))).tanh()

    def off(self, features: Tensor, conditions: Tensor) -> Tensor:
        """By how much answers miss what the conditions, (n, n_conditions), say, (n, n_answers)."""
        wanted = (conditions[:, self.columns] - self.centre) / self.spread
        return self.answers(features) - wanted

    @classmethod
    def of(cls, training: Rows) -> "Reader":
        """For conditions as these rows have."""
        names = GalaxyTemplateNetwork(n_table=1).condition_names
        left_out = [name.startswith("class_") or name == "psf_fwhm" for name in names]
        reader = cls(len(names) - sum(left_out))
        reader.columns[:] = torch.from_numpy(np.flatnonzero(~np.array(left_out)))
        known = torch.from_numpy(training.conditions)[:, reader.columns]
        reader.centre[:], reader.spread[:] = known.mean(0), known.std(0).clamp_min(0.02)
        return reader

    @classmethod
    def read(cls, path: Path) -> "Reader":
        """What this script has saved."""
        state = torch.load(path, weights_only=True)
        reader = cls(len(state["answers.weight"]))
        reader.load_state_dict(state)
        return reader.eval().requires_grad_(False)


class ReadTask(lightning.LightningModule):
    """A reader that learns to answer."""

    def __init__(self, reader: Reader, max_steps: int) -> None:
        super().__init__()
        self.reader, self.max_steps = reader, max_steps

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """How far the answers are off; rare votes do not count for more."""
        off = self.reader.off(self.reader(batch["templates"]), batch["conditions"])
        return smooth_l1_loss(off, torch.zeros_like(off))

    def configure_optimizers(self) -> tuple[list, list]:
        """AdamW, up and along a cosine to zero."""
        optimizer = torch.optim.AdamW(self.reader.parameters(), lr=RATE, weight_decay=0.05)
        schedule = warm_up_and_cosine(optimizer, self.max_steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def explained(reader: Reader, rows: Rows) -> np.ndarray:
    """Part of each answer's variance, of rows that it has not learned from."""
    conditions, off = torch.from_numpy(rows.conditions), []
    with torch.inference_mode():
        for start in range(0, len(rows), 128):
            part = slice(start, start + 128)
            light = torch.from_numpy(rows.templates[part]).float()
            off.append(reader.off(reader(light), conditions[part]))
    known = (conditions[:, reader.columns] / reader.spread).var(0)
    return (1 - torch.cat(off).var(0) / known).numpy()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=SEED)
    add_process_options(parser)
    args = parser.parse_args()
    rows = Rows.read(args.work)
    training = rows[rows.split == 0]
    with torch.random.fork_rng():
        torch.manual_seed(args.seed)
        reader = Reader.of(training)
    last = args.folder / "last.ckpt"
    done = torch.load(last, weights_only=True)["global_step"] if last.exists() else 0
    fit(
        ReadTask(reader, args.steps),
        DataLoader(Batches(training, args.batch_size, args.seed, done), batch_size=None),
        folder=args.folder,
        max_steps=args.steps,
        seed=args.seed,
        precision="32-true",
        **process_options(args),
    )
    if this_process().rank > 0:
        return
    torch.save(reader.state_dict(), args.folder / "reader.pt")
    apart = rows[rows.split == 1]
    print(f"of the variance of {len(apart)} galaxies kept apart:")
    names = GalaxyTemplateNetwork(n_table=1).condition_names
    for column, part in zip(reader.columns, explained(reader.eval(), apart), strict=True):
        print(f"{names[column]:40} {part:6.2f}")


if __name__ == "__main__":
    main()
