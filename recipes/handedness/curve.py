"""How well a network tells the winding of spirals, against the number of labels it learns from."""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from spirals import Spirals, read_spirals

from astrodlkit import CutoutClassifier, load_model

# Views of a picture that are shown to the network in a training, whatever the number of labels.
SHOWN = 8000
METHODS = ("frozen", "full", "scratch")


def make_base(method: str, side: int, seed: int) -> CutoutClassifier:
    """The bundled model for pictures of another size, or the same network untrained."""
    model = load_model("galaxyzoo2", device="cpu")
    card = replace(model.card, input=replace(model.card.input, shape=(side, side)))
    if method == "scratch":
        torch.manual_seed(seed)
        for layer in model.module.backbone.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    return CutoutClassifier(card, model.module, device="cpu")


def fine_tuned(
    base: CutoutClassifier, spirals: Spirals, method: str, seed: int
) -> CutoutClassifier:
    """The base with the winding learned from some spirals and their mirror images."""
    n = len(spirals)
    both = spirals.with_mirrored()
    # A spiral and its mirror image must not be on different sides.
    held = np.tile(np.random.default_rng(seed).permutation(n) < n // 5, 2)
    options = {}
    if method != "frozen":
        epochs = max(1, round(SHOWN / (~held).sum()))
        options = {"mode": "full", "epochs": epochs, "patience": epochs}
    return base.fine_tune(
        both.cutouts,
        both.winding,
        mirror=False,
        validation=held,
        seed=seed,
        progress=False,
        rate=2e-3 if method == "scratch" else 1e-3,
        **options,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of gz1_small_96.h5")
    parser.add_argument("results", type=Path, help="a line of JSON is appended for each training")
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 200, 597])
    parser.add_argument("--draws", type=int, nargs="+", default=[3, 2, 1], help="for each number")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--side", type=int, default=64, help="pixels of a picture")
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
                tuned = fine_tuned(make_base(method, args.side, draw), training[rows], method, draw)
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
