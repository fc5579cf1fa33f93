"""Train the network behind the model ``efigi``; resumes where it was interrupted."""

import argparse
from pathlib import Path

import numpy as np
import torch
from labels import ATTRIBUTES, EfigiGalaxies

from astrodlkit import load_model
from astrodlkit.networks import HeadsNetwork
from astrodlkit.specs import Head, InputSpec, LuptonStretch, OutputSpec
from astrodlkit.training import (
    Augmentation,
    LabelsTask,
    add_process_options,
    fit,
    make_batches,
    process_options,
    this_process,
)

BACKBONE = "tf_efficientnet_lite1"
SEED = 30
HEADS = [
    {"name": "t_type", "kind": "numbers", "n": 1},
    {"name": "attributes", "kind": "numbers", "n": len(ATTRIBUTES)},
]
OUTPUT = OutputSpec(
    heads=(
        Head(
            name="t_type",
            kind="numbers",
            labels=("t_type",),
            descriptions=("Hubble type of the RC3 scale: -5 elliptical, 0 S0/a, 5 Sc, 10 Im",),
        ),
        Head(
            name="attributes",
            kind="numbers",
            labels=ATTRIBUTES,
            descriptions=tuple(
                f"EFIGI {name.replace('_', ' ')}: 0 none to 1 extreme"
                if name != "arm_rotation"
                else "EFIGI sense of winding: 0 and 1 the two senses, 0.5 none"
                for name in ATTRIBUTES
            ),
        ),
    )
)


# Petrosian-90 radii in the width of a picture, and what brings SDSS frames in nanomaggies near
# the look of the pictures: see the recipe's README.
WIDTH = 3.6
STRETCH = LuptonStretch(stretch=3.4, Q=2.0, minimum=-0.25, scales=(0.72, 1.0, 2.0))


def input_spec(galaxies: EfigiGalaxies, side: int) -> InputSpec:
    """The input contract, with the mean and the deviation of the training pictures."""
    pictures = galaxies.pictures[galaxies.split == 0].astype(np.float32) / 255
    bright = np.median(np.percentile(pictures.mean(3).reshape(len(pictures), -1), 99, axis=1))
    return InputSpec(
        bands=("i", "r", "g"),
        shape=(side, side),
        mean=tuple(round(float(x), 4) for x in pictures.mean((0, 1, 2))),
        std=tuple(round(float(x), 4) for x in pictures.std((0, 1, 2))),
        stretch=STRETCH,
        width=WIDTH,
        bright=round(float(bright), 3),
        mirror=False,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    parser.add_argument("--start", default="galaxyzoo2", help="model whose backbone to start from")
    parser.add_argument("--again", type=Path, help="network.pt of an earlier run to go on from")
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--stop-at", type=int, help="stop here; the same call goes on later")
    parser.add_argument("--side", type=int, default=80, help="pixels of a training view")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=SEED)
    add_process_options(parser)
    args = parser.parse_args()

    galaxies = EfigiGalaxies.read(args.data)
    training = galaxies[galaxies.split == 0].with_mirror_images()
    start = load_model(args.start, device="cpu").module
    torch.manual_seed(args.seed)
    network = HeadsNetwork(BACKBONE, HEADS)
    network.backbone.load_state_dict(start.backbone.state_dict())
    for head in HEADS:
        labels = torch.from_numpy(getattr(training, head["name"]))
        known = torch.isfinite(labels)
        mean = torch.nanmean(labels, dim=0)
        square = torch.where(known, (labels - mean).square(), 0).sum(0) / known.sum(0)
        network.set_units(head["name"], mean, square.sqrt().clamp(min=1e-3))
    if args.again:
        network.load_state_dict(torch.load(args.again, weights_only=True))
    spec = input_spec(galaxies, args.side)
    task = LabelsTask(
        network.to(memory_format=torch.channels_last),
        OUTPUT,
        spec,
        # The pictures of this set are alike in depth and seeing, and what a picture has lost in
        # training draws the types towards their mean: with the full augmentation the ends of the
        # scale came out 1.5 types too near to its middle.
        Augmentation(shape=spec.shape, gain=0.1, grey=0, blur=0.05, noise=0.1, mirror=False),
        max_steps=args.steps,
        rate=1e-3,
        weights={"t_type": 1.0, "attributes": 1.0},
        seed=args.seed,
    )
    pictures = np.ascontiguousarray(np.moveaxis(training.pictures, 3, 1))
    labels = (training.t_type, training.attributes)
    fit(
        task,
        make_batches(pictures, labels, batch_size=args.batch_size, seed=args.seed),
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
