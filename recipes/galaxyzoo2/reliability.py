"""Draw what was promised and what came true on the validation rows, by cross-validation."""

import argparse
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from calibrate import covered, held_out_probability, validation_outputs
from labels import LabelledGalaxies
from matplotlib.figure import Figure

from astrodlkit import load_model
from astrodlkit.metrics import expected_calibration_error, reliability_curve
from astrodlkit.specs._calibration import LEVELS

CLASS_BINS = (0, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 1)
VOTE_BINS = (0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1)
BEFORE, AFTER = "#8c96a3", "#1f6fb4"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("figure", type=Path, help="file to write, for example reliability.png")
    parser.add_argument("--model", default="galaxyzoo2", help="name, or path of a card")
    args = parser.parse_args()
    classifier = load_model(args.model, device="cpu")
    outputs, galaxies = validation_outputs(classifier, LabelledGalaxies.read(args.data))
    heads = {head.name: head for head in classifier.card.output.heads}

    mpl.rcParams["font.size"] = 9
    figure = Figure(figsize=(8, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)

    known = galaxies.class5 >= 0
    raw, truth = outputs["class"][known], galaxies.class5[known]
    correct = raw.argmax(axis=1) == truth
    left.plot([0.4, 1], [0.4, 1], color="0.8", zorder=0)
    for probability, text, colour in (
        (raw.max(axis=1), "network", BEFORE),
        (held_out_probability(heads["class"], raw, truth), "calibrated", AFTER),
    ):
        curve = reliability_curve(probability, correct, bins=CLASS_BINS)
        error = expected_calibration_error(probability, correct)
        label = f"{text}: calibration error {error:.3f}"
        left.errorbar(*curve[:2], curve.error, fmt="o", ms=4, color=colour, label=label)
    left.set(xlabel="probability of the class", ylabel="share that is right")
    left.set_title(f"Five classes, {len(truth)} galaxies", fontsize=10)
    left.legend(frameon=False, loc="upper left")

    known = np.isfinite(galaxies.votes).all(axis=1)
    raw, truth = outputs["votes"][known], galaxies.votes[known]
    for level, part, colour in zip(
        LEVELS, covered(heads["votes"], raw, truth), (AFTER, "#b5541c"), strict=True
    ):
        right.axhline(level, color="0.8", zorder=0)
        for low, high in pairwise(VOTE_BINS):
            rows = (raw >= low) & (raw <= high)
            share = part[rows].mean()
            # Numbers of one galaxy go together, so that galaxies are counted.
            error = np.sqrt(level * (1 - level) / rows.any(axis=1).sum())
            right.errorbar(
                (low + high) / 2, share, error, (high - low) / 2, fmt="o", ms=4, color=colour
            )
        right.text(1, level + 0.01, f"{level:.0%}", ha="right", color=colour)
    right.set(xlabel="predicted vote fraction", ylabel="share of truths in the interval")
    right.set(xlim=(0, 1), ylim=(0.5, 1))
    right.set_title(f"37 votes, {len(truth)} galaxies", fontsize=10)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(args.figure, dpi=150)


if __name__ == "__main__":
    main()
