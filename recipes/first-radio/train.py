"""Train the network behind the model ``first-radio``; resumes where it was interrupted."""

import argparse
from pathlib import Path

import numpy as np
import torch
from sources import CLASSES, RadioSources

from astrodlkit import load_model
from astrodlkit.networks import HeadsNetwork
from astrodlkit.specs import Head, InputSpec, OutputSpec, PeakStretch
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
SEED = 40
HEADS = [{"name": "class", "kind": "classes", "n": len(CLASSES)}]
OUTPUT = OutputSpec(heads=(Head(name="class", kind="classes", labels=CLASSES),))
STRETCH = PeakStretch(threshold=3.0, power=0.5)


def stretched(sources: RadioSources) -> np.ndarray:
    """Pictures as `PeakStretch` makes them from fluxes, shape (n, 3, 96, 96), uint8."""
    grey = np.round(255 * STRETCH.apply(sources.pictures[:, None].astype(np.float32)))
    return np.repeat(grey.astype(np.uint8), 3, axis=1)


def input_spec(sources: RadioSources, side: int) -> InputSpec:
    """
    The input contract, with the mean and the deviation of the training pictures.

    The pictures are all but black: without standardisation a network sees
    next to nothing, and in bf16 nothing.
    """
    pictures = stretched(sources[sources.split == 0]).astype(np.float32)[:, 0] / 255
    return InputSpec(
        bands=("1.4 GHz",) * 3,
        shape=(side, side),
        mean=(round(float(pictures.mean()), 4),) * 3,
        std=(round(float(pictures.std()), 4),) * 3,
        stretch=STRETCH,
        pixel_scale=1.8 * 96 / side,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    parser.add_argument("--start", default="galaxyzoo2", help="model whose backbone to start from")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--stop-at", type=int, help="stop here; the same call goes on later")
    parser.add_argument("--side", type=int, default=96, help="pixels of a training view")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=SEED)
    add_process_options(parser)
    args = parser.parse_args()

    sources = RadioSources.read(args.data)
    training = sources[sources.split == 0]
    torch.manual_seed(args.seed)
    network = HeadsNetwork(BACKBONE, HEADS)
    start = load_model(args.start, device="cpu").module
    network.backbone.load_state_dict(start.backbone.state_dict())
    spec = input_spec(sources, args.side)
    # Classes are weighed as if each were as frequent as the others.
    counts = np.bincount(training.label, minlength=len(CLASSES))
    task = LabelsTask(
        network.to(memory_format=torch.channels_last),
        OUTPUT,
        spec,
        # Thresholded noise is black: none is added, and there is no colour to take away.
        Augmentation(shape=spec.shape, zoom=(0.85, 1.3), noise=0, grey=0, blur=0.1),
        max_steps=args.steps,
        rate=1e-3,
        class_weights={"class": (len(training) / len(CLASSES) / counts).tolist()},
        smoothing=0.1,
        seed=args.seed,
    )
    fit(
        task,
        make_batches(
            stretched(training), (training.label,), batch_size=args.batch_size, seed=args.seed
        ),
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
