"""How well a network tells the winding of spirals, against the number of labels it learns from."""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from spirals import NAMES, Spirals, read_spirals
from torch.nn.functional import interpolate

from astrodlkit import CutoutClassifier, load_model
from astrodlkit.networks import HeadsNetwork
from astrodlkit.specs import Head, OutputSpec
from astrodlkit.training import Augmentation, LabelsTask, fit, make_batches

BATCH = 32
METHODS = ("frozen", "full", "scratch")


def make_base(side: int) -> CutoutClassifier:
    """The bundled model for pictures of another size."""
    model = load_model("galaxyzoo2", device="cpu")
    card = replace(model.card, input=replace(model.card.input, shape=(side, side)))
    return CutoutClassifier(card, model.module, device="cpu")


def fine_tuned(
    spirals: Spirals, held: np.ndarray, *, mode: str, side: int, shown: int, seed: int
) -> CutoutClassifier:
    """The bundled model with the winding learned from some spirals."""
    epochs = max(1, round(shown / (~held).sum()))
    return make_base(side).fine_tune(
        spirals.cutouts,
        spirals.winding,
        mode=mode,
        mirror=False,
        validation=held,
        epochs=epochs,
        patience=epochs,
        seed=seed,
        progress=False,
    )


def from_scratch(
    spirals: Spirals, held: np.ndarray, *, side: int, shown: int, seed: int
) -> CutoutClassifier:
    """The same network without what it knows, as long and on the same views."""
    base = make_base(side)
    spec = replace(base.card.input, mirror=False)
    output = OutputSpec(heads=(Head(name="class", kind="classes", labels=tuple(NAMES[1:])),))
    options = {
        "backbone": base.card.options["backbone"],
        "heads": [{"name": "class", "kind": "classes", "n": 2}],
    }
    torch.manual_seed(seed)
    network = HeadsNetwork(**options)
    pictures = resized(spirals.pictures, side)
    winding = (spirals.winding == NAMES[2]).astype(np.int64)
    steps = shown // BATCH
    task = LabelsTask(
        network,
        output,
        spec,
        Augmentation(shape=spec.shape, mirror=False),
        max_steps=steps,
        seed=seed,
    )
    with TemporaryDirectory() as folder:
        fit(
            task,
            make_batches(pictures[~held], [winding[~held]], batch_size=BATCH, seed=seed),
            validation=make_batches(pictures[held], [winding[held]], batch_size=BATCH),
            folder=folder,
            max_steps=steps,
            seed=seed,
            patience=steps,
            progress=False,
        )
    card = replace(
        base.card, architecture="heads", options=options, input=spec, output=output, figures=()
    )
    return CutoutClassifier(card, network, device="cpu")


def resized(pictures: np.ndarray, side: int) -> np.ndarray:
    """Pictures of another size, as `InputSpec` makes them."""
    small = interpolate(
        torch.from_numpy(pictures).float(), (side, side), mode="bilinear", antialias=True
    )
    return small.round().to(torch.uint8).numpy()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of gz1_small_96.h5")
    parser.add_argument("results", type=Path, help="a line of JSON is appended for each training")
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 200, 597])
    parser.add_argument("--draws", type=int, nargs="+", default=[3, 2, 1], help="for each number")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--side", type=int, default=64, help="pixels of a picture")
    parser.add_argument("--shown", type=int, default=16_000, help="pictures shown in a training")
    args = parser.parse_args()

    training, validation = (read_spirals(args.data, split) for split in (0, 1))
    both = validation.with_mirrored()
    results = args.results.read_text().splitlines() if args.results.exists() else []
    done = {tuple(json.loads(line)[k] for k in ("method", "n", "draw")) for line in results}
    for n, draws in zip(args.labels, args.draws, strict=True):
        for draw in range(draws):
            rows = np.random.default_rng([n, draw]).permutation(len(training))[:n]
            for method in args.methods:
                if (method, len(rows), draw) in done:
                    continue
                start = time.process_time()
                spirals = training[rows].with_mirrored()
                # A spiral and its mirror image must not be on different sides.
                order = np.random.default_rng(draw).permutation(len(rows))
                held = np.tile(order < len(rows) // 5, 2)
                options = {"side": args.side, "shown": args.shown, "seed": draw}
                if method == "scratch":
                    tuned = from_scratch(spirals, held, **options)
                else:
                    tuned = fine_tuned(spirals, held, mode=method, **options)
                seconds = time.process_time() - start
                given = np.asarray(tuned.predict(both.cutouts, views=4)["class"])
                right = (given == both.winding).reshape(2, -1).mean(axis=0)
                # A galaxy and its mirror image count as one.
                line = {
                    "method": method,
                    "n": len(rows),
                    "draw": draw,
                    "accuracy": float(right.mean()),
                    "error": float(max(right.std(), 0.5 / len(right) ** 0.5) / len(right) ** 0.5),
                    "n_validation": len(right),
                    "seconds": round(seconds, 1),
                }
                print(line, flush=True)
                with args.results.open("a") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
