"""
Train a generator of templates; resumes where it was interrupted.

.. code-block:: console

    $ python recipes/sdss-galaxies/train.py WORK VAE --candidate vae
    $ python recipes/sdss-galaxies/train.py WORK GAN --candidate gan
    $ python recipes/sdss-galaxies/train.py WORK BOTH --candidate vae-gan --start VAE/network.pt
    $ python recipes/sdss-galaxies/train.py WORK OUT --candidate vae-textures --start VAE/network.pt
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from candidates import CANDIDATES, TemplateTask
from features import Reader
from rows import Batches, Rows
from torch import Tensor
from torch.utils.data import DataLoader

from astrodlkit import load_model
from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.training import add_process_options, fit, process_options, this_process

SEED = 70
STEPS = {"vae": 20_000, "gan": 20_000, "vae-gan": 8_000, "vae-textures": 1_000}
# Channels of the network at 5, 10, 20 and 40 pixels.
WIDTHS = 192, 96, 48, 24


def make_network(training: Rows, seed: int, widths: Sequence[int]) -> GalaxyTemplateNetwork:
    """A new network that knows the conditions of the training rows."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = GalaxyTemplateNetwork(widths=widths, n_table=min(4096, len(training)))
        mixed = torch.randperm(len(training))
    network.deck.fit(torch.from_numpy(training.conditions)[mixed])
    return network


def network_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a network's weights are for."""
    stages = range(len(WIDTHS))
    return {
        "widths": [len(state[f"decoder.geometry.{k}.weight"]) for k in stages],
        "encoder_widths": [len(state[f"encoder.blocks.{k}.first.weight"]) for k in stages][::-1],
        "flow_layers": sum(name.startswith("flow.") for name in state) // 6,
        "flow_hidden": len(state["flow.layers.0.0.weight"]),
        "n_table": len(state["deck.table"]),
    }


def renewed(old: GalaxyTemplateNetwork, part: str, **options: Any) -> GalaxyTemplateNetwork:
    """A network with a part of other options, which has not learned, and the rest of another."""
    state = old.state_dict()
    network = GalaxyTemplateNetwork(**network_options(state) | options)
    rest = {name: value for name, value in state.items() if not name.startswith(f"{part}.")}
    network.load_state_dict(rest, strict=False)
    return network


def read_network(path: Path) -> GalaxyTemplateNetwork:
    """A folder of this script, network.pt, a checkpoint, or what `load_model` takes."""
    if (path / "network.pt").exists():
        path = path / "network.pt"
    if path.suffix not in (".pt", ".ckpt"):
        return load_model(str(path), device="cpu").module
    state = torch.load(path, weights_only=True, map_location="cpu")
    if path.suffix == ".ckpt":
        own = [name for name in state["state_dict"] if name.startswith("network.")]
        state = {name.removeprefix("network."): state["state_dict"][name] for name in own}
    network = GalaxyTemplateNetwork(**network_options(state))
    network.load_state_dict(state)
    return network.eval()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    parser.add_argument("--candidate", choices=CANDIDATES, default="vae")
    parser.add_argument("--start", type=Path, help="network to start from: folder, file or name")
    parser.add_argument("--steps", type=int, help="by default those of the candidate")
    parser.add_argument("--minutes", type=float, help="end by the clock instead")
    parser.add_argument("--stop-at", type=int, help="stop here; the same call goes on later")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rate", type=float, help="by default that of the candidate")
    parser.add_argument("--numbers", type=float, default=0.01, help="that are to be found: weight")
    parser.add_argument("--share", type=float, default=1.0, help="critic's or textures' weight")
    parser.add_argument("--reader", type=Path, help="of features.py, for vae-textures: reader.pt")
    parser.add_argument("--decoder", action="store_true", help="leave the rest as it is")
    parser.add_argument("--widths", type=int, nargs=len(WIDTHS), default=WIDTHS, help="channels")
    parser.add_argument("--seed", type=int, default=SEED)
    add_process_options(parser)
    args = parser.parse_args()

    rows = Rows.read(args.work)
    training = rows[rows.split == 0]
    network = (
        read_network(args.start) if args.start else make_network(training, args.seed, args.widths)
    )
    if args.decoder:
        network.requires_grad_(False).decoder.requires_grad_(True)
    steps = args.steps or STEPS[args.candidate]
    # Lightning counts those of the critic too.
    each = 2 if "gan" in args.candidate else 1
    last = args.folder / "last.ckpt"
    done = torch.load(last, weights_only=True)["global_step"] // each if last.exists() else 0
    with torch.random.fork_rng():
        torch.manual_seed(args.seed)
        task = TemplateTask(
            network.train(), args.candidate, max_steps=steps, minutes=args.minutes,
            rate=args.rate, share=args.share, numbers=args.numbers, seed=args.seed,
            reader=Reader.read(args.reader) if args.reader else None,
        )  # fmt: skip
    alone = args.devices * args.nodes == 1
    gpu = alone and args.accelerator in ("auto", "gpu") and torch.cuda.is_available()
    device = "cuda" if gpu else "cpu"
    batches = Batches(training, args.batch_size, args.seed, done, device)
    fit(
        task,
        DataLoader(batches, batch_size=None),
        folder=args.folder,
        max_steps=-1 if args.minutes else each * steps,
        max_time={"minutes": args.minutes} if args.minutes else None,
        stop_at=args.stop_at and each * args.stop_at,
        seed=args.seed,
        precision="32-true",
        decay=0.999 if steps > 3000 or args.minutes else None,
        checkpoint_every=250 * each,
        **process_options(args, partial="gan" in args.candidate),
    )
    if this_process().rank == 0:
        torch.save(network.state_dict(), args.folder / "network.pt")


if __name__ == "__main__":
    main()
