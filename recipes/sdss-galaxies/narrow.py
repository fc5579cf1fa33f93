"""
Teach a narrower decoder to draw what a wide one draws; resumes where it was interrupted.

.. code-block:: console

    $ python recipes/sdss-galaxies/narrow.py WORK TEXTURES NARROW --widths 128 64 32 16

What a galaxy costs is the decoder. The latent numbers, and the encoder that finds them, stay as
they are.
"""

import argparse
from pathlib import Path

import lightning
import torch
from rows import Batches, Rows
from torch import Tensor
from torch.utils.data import DataLoader
from train import SEED, WIDTHS, read_network, renewed

from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.training import (
    add_process_options,
    fit,
    process_options,
    step_generator,
    this_process,
    warm_up_and_cosine,
)

STEPS, RATE = 5_000, 1e-3


class NarrowTask(lightning.LightningModule):
    """
    A decoder that follows another.

    It sees drawn latent numbers, of which there is no end, with the conditions of real galaxies
    (Hinton et al. 2015, arXiv:1503.02531). A field counts where the galaxy is brighter than the
    noise of its picture: what it is elsewhere nobody sees.

    Parameters
    ----------
    network, teacher : GalaxyTemplateNetwork
        Alike but for the decoder.
    max_steps : int
        Of the training.
    seed : int
        Of latent numbers.
    """

    def __init__(
        self,
        network: GalaxyTemplateNetwork,
        teacher: GalaxyTemplateNetwork,
        *,
        max_steps: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.network, self.max_steps, self.seed = network.requires_grad_(False), max_steps, seed
        network.decoder.requires_grad_(True)
        # In a list: no module of this one, it is neither averaged nor in checkpoints.
        self.teachers = [teacher.eval().requires_grad_(False)]

    def on_fit_start(self) -> None:
        """Bring the teacher to where the network is."""
        self.teachers[0].to(self.device)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """How far the fields are from the teacher's."""
        (teacher,), conditions = self.teachers, batch["conditions"]
        generator = step_generator(self.seed, self.global_step, self.device)
        shape = len(conditions), teacher.n_latent
        latent = torch.randn(shape, generator=generator, device=self.device)
        with torch.no_grad():
            own, places = latent.tensor_split([teacher.n_global], 1)
            moved = teacher.flow(own, teacher.deck.standard(conditions))
            code = torch.cat([moved, places], 1)
            wanted = teacher.fields(code, conditions)
            level = teacher.profile(conditions) / batch["noise"][:, 1, None, None, None]
        off = (self.network.fields(code, conditions) - wanted).abs()
        loss = (off * level / (1 + level)).mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> tuple[list, list]:
        """Adam, up and along a cosine to zero."""
        optimizer = torch.optim.Adam(self.network.decoder.parameters(), lr=RATE, betas=(0.9, 0.99))
        schedule = warm_up_and_cosine(optimizer, self.max_steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument("teacher", type=Path, help="folder of train.py, file or name")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    parser.add_argument("--widths", type=int, nargs=len(WIDTHS), required=True, help="channels")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--stop-at", type=int, help="stop here; the same call goes on later")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=SEED)
    add_process_options(parser)
    args = parser.parse_args()

    rows = Rows.read(args.work)
    teacher = read_network(args.teacher)
    with torch.random.fork_rng():
        torch.manual_seed(args.seed)
        network = renewed(teacher, "decoder", widths=args.widths)
    last = args.folder / "last.ckpt"
    done = torch.load(last, weights_only=True)["global_step"] if last.exists() else 0
    batches = Batches(rows[rows.split == 0], args.batch_size, args.seed, done)
    fit(
        NarrowTask(network, teacher, max_steps=args.steps, seed=args.seed),
        DataLoader(batches, batch_size=None),
        folder=args.folder,
        max_steps=args.steps,
        stop_at=args.stop_at,
        seed=args.seed,
        precision="32-true",
        **process_options(args),
    )
    if this_process().rank == 0:
        torch.save(network.state_dict(), args.folder / "network.pt")


if __name__ == "__main__":
    main()
