"""Train the network behind the model ``first-radio``; resumes where it was interrupted."""

import argparse
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sources import CLASSES, RadioSources
from task import SharesTask

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


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a network is trained."""

    backbone: str = BACKBONE
    start: str = "galaxyzoo2"
    steps: int = 2000
    side: int = 96
    batch_size: int = 64
    rate: float = 1e-3
    backbone_rate: float = 0.5
    smoothing: float = 0.1
    zoom: tuple[float, float] = (0.85, 1.3)
    shift: float = 0.04
    mix: float = 0.0
    fade: float = 0.0
    taught_part: float = 0.6
    seed: int = SEED


def starting_weights(start: str) -> dict[str, torch.Tensor]:
    """Those of a backbone: a model's, or from a file."""
    if start.endswith(".pt"):
        return torch.load(start, weights_only=True, map_location="cpu")
    return load_model(start, device="cpu").module.backbone.state_dict()


def make_task(
    training: RadioSources, settings: Settings, taught: np.ndarray | None
) -> tuple[LabelsTask, np.ndarray]:
    """The network with its losses, and the labels that these take."""
    torch.manual_seed(settings.seed)
    network = HeadsNetwork(settings.backbone, HEADS)
    network.backbone.load_state_dict(starting_weights(settings.start))
    spec = input_spec(training, settings.side)
    # Thresholded noise is black: none is added, and there is no colour to take away.
    views = Augmentation(
        shape=spec.shape, zoom=settings.zoom, shift=settings.shift, noise=0, grey=0, blur=0.1
    )
    options = {
        "max_steps": settings.steps,
        "rate": settings.rate,
        "backbone_rate": settings.backbone_rate,
        "seed": settings.seed,
    }
    network = network.to(memory_format=torch.channels_last)
    # Classes are weighed as if each were as frequent as the others.
    counts = np.bincount(training.label, minlength=len(CLASSES))
    weights = len(training) / len(CLASSES) / counts.clip(1)
    if taught is None and not (settings.mix or settings.fade):
        options |= {"class_weights": {"class": weights.tolist()}, "smoothing": settings.smoothing}
        return LabelsTask(network, OUTPUT, spec, views, **options), training.label
    shares = np.eye(len(CLASSES))[training.label]
    shares = (1 - settings.smoothing) * shares + settings.smoothing / len(CLASSES)
    if taught is not None:
        shares = (1 - settings.taught_part) * shares + settings.taught_part * taught
    labels = (shares * weights[training.label, None]).astype(np.float32)
    output = OutputSpec(heads=(replace(OUTPUT.heads[0], kind="fractions"),))
    task = SharesTask(network, output, spec, views, mix=settings.mix, fade=settings.fade, **options)
    return task, labels


def train(
    training: RadioSources,
    settings: Settings,
    folder: Path,
    *,
    taught: np.ndarray | None = None,
    **options: Any,
) -> HeadsNetwork:
    """
    Train a network on some sources.

    Parameters
    ----------
    training : RadioSources
        The sources.
    settings : Settings
        How.
    folder : path
        For checkpoints and the log.
    taught : `~numpy.ndarray`, shape (n, 4), optional
        Probabilities that other networks give to these sources.
    **options
        More of `astrodlkit.training.fit`.

    Returns
    -------
    network : HeadsNetwork
        With averaged weights.
    """
    task, labels = make_task(training, settings, taught)
    fit(
        task,
        make_batches(
            stretched(training), (labels,), batch_size=settings.batch_size, seed=settings.seed
        ),
        folder=folder,
        max_steps=settings.steps,
        seed=settings.seed,
        **options,
    )
    return task.network


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("folder", type=Path, help="folder for checkpoints, outside the repository")
    usual = Settings()
    parser.add_argument(
        "--start", default=usual.start, help="model or .pt whose backbone to start from"
    )
    parser.add_argument("--stop-at", type=int, help="stop here; the same call goes on later")
    parser.add_argument("--side", type=int, default=usual.side, help="pixels of a training view")
    parser.add_argument(
        "--zoom", type=float, nargs=2, default=usual.zoom, help="smallest and largest"
    )
    parser.add_argument("--mix", type=float, default=0.0, help="largest part of another source")
    parser.add_argument("--fade", type=float, default=0.0, help="part that is shown fainter")
    parser.add_argument("--taught", type=Path, help="taught.npy of choose.py")
    for name in ("steps", "batch_size", "rate", "backbone_rate", "smoothing", "shift", "seed"):
        value = getattr(usual, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    add_process_options(parser)
    args = parser.parse_args()

    given = {f.name: getattr(args, f.name) for f in fields(usual) if hasattr(args, f.name)}
    sources = RadioSources.read(args.data)
    network = train(
        sources[sources.split == 0],
        Settings(**given),
        args.folder,
        taught=np.load(args.taught) if args.taught else None,
        stop_at=args.stop_at,
        **process_options(args),
    )
    if this_process().rank == 0:
        torch.save(network.state_dict(), args.folder / "network.pt")


if __name__ == "__main__":
    main()
