"""Train the network behind an emulator of density maps; resumes where it was interrupted."""

import argparse
import os
from pathlib import Path

import torch
from adversarial import AdversarialTask
from boxes import THICKNESS, Box, read_boxes
from correct import correct
from prior import make_network
from slabs import Slabs
from torch.utils.data import DataLoader

from astrodlkit import load_model
from astrodlkit.training import add_process_options, fit, process_options, this_process

SEED = 50
# Every tenth box is kept apart: the weights are chosen by them.
KEPT_APART = 10
# What a training that goes on from another has at its end, until it is corrected itself.
LAST = ("last_correction.filter", "last_correction.shift")


def training_boxes(folder: Path) -> tuple[list[Box], list[Box]]:
    """Those of half the side and of the whole side, without what is kept apart."""
    half, fixed, whole = (list(read_boxes(folder / name)) for name in ("train", "fixed", "whole"))
    # Whole boxes with random amplitudes scatter more.
    return [box for box in half if learned(box)], [box for box in fixed or whole if learned(box)]


def kept_apart(folder: Path, name: str) -> list[Box]:
    """What is not learned from of a set."""
    boxes = list(read_boxes(folder / name))
    if name == "whole" and any((folder / "fixed").glob("box-*.h5")):
        return boxes
    return [box for box in boxes if not learned(box)]


def learned(box: Box) -> bool:
    """Whether a box of a set that is learned from is not kept apart."""
    return box.settings["number"] % KEPT_APART != 0


def state_of(start: Path) -> dict[str, torch.Tensor]:
    """Of a folder of this script, or of what `load_model` takes, which has no critic."""
    if (start / "last.ckpt").exists():
        state = torch.load(start / "last.ckpt", weights_only=True)["state_dict"]
        if (start / "network.pt").exists():
            ended = torch.load(start / "network.pt", weights_only=True)
            state |= {f"network.{name}": value for name, value in ended.items()}
        return state
    return load_model(str(start), device="cpu").module.state_dict(prefix="network.")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path, help="folder that truth.py was given")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    parser.add_argument("--scale", choices=THICKNESS, default="500mpc")
    parser.add_argument("--steps", type=int, default=20_000, help="0 corrects --start anew")
    parser.add_argument("--minutes", type=float, help="end by the clock instead")
    parser.add_argument("--stop-at", type=int, help="stop here; the same call goes on later")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--start", type=Path, help="earlier training to begin from: folder or name")
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--decay", type=float, default=0.999, help="of the average of the weights")
    parser.add_argument("--whole", action="store_true", help="learn from boxes of the whole side")
    parser.add_argument("--seed", type=int, default=SEED)
    add_process_options(parser)
    args = parser.parse_args()

    args.folder.mkdir(parents=True, exist_ok=True)
    boxes, whole = training_boxes(args.truth / args.scale)
    network, power = make_network(boxes, whole)
    taught = whole if args.whole else boxes
    prior = args.folder / "prior.pt"
    if prior.exists():
        network.load_state_dict(torch.load(prior, weights_only=True))
    else:
        correct(network, power, boxes, args.seed, web=True)
        # Processes that start together all make it.
        own = args.folder / f"prior-{os.getpid()}.part"
        torch.save(network.state_dict(), own)
        own.replace(prior)
    last = args.folder / "last.ckpt"
    done = torch.load(last, weights_only=True)["global_step"] // 2 if last.exists() else 0
    task = AdversarialTask(
        network, power, max_steps=args.steps, minutes=args.minutes, rate=args.rate,
        critic_rate=4 / 3 * args.rate, seed=args.seed,
    )  # fmt: skip
    if args.start and not done:
        earlier = state_of(args.start)
        # What it learned, not what was known of the boxes of then.
        names = [*dict(task.named_parameters()), *(f"network.{name}" for name in LAST)]
        learnt = {name: earlier[name] for name in names if name in earlier}
        task.load_state_dict(learnt, strict=False)
    if args.steps:
        fit(
            task,
            DataLoader(Slabs(taught, args.batch_size, args.seed, done), batch_size=None),
            folder=args.folder,
            # Each step is two: one of the critic's and one of the network's.
            max_steps=-1 if args.minutes else 2 * args.steps,
            max_time={"minutes": args.minutes} if args.minutes else None,
            stop_at=args.stop_at and 2 * args.stop_at,
            seed=args.seed,
            precision="32-true",
            decay=args.decay,
            checkpoint_every=500,
            **process_options(args, partial=True),
        )
    if this_process().rank > 0:
        return
    torch.save(network.state_dict(), args.folder / "uncorrected.pt")
    # Long waves make the peaks that a network adds to higher.
    side = (whole or taught)[0].settings["side"]
    correct(network, power, boxes, args.seed, web=False, side=side)
    torch.save(network.state_dict(), args.folder / "network.pt")


if __name__ == "__main__":
    main()
