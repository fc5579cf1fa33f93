"""Temperature and intervals from the validation rows, and by cross-validation if they hold."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from classes import as_cutouts
from labels import LabelledGalaxies
from photutils.profiles import CurveOfGrowth

from astrodlkit import load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.engine import run_batches
from astrodlkit.metrics import expected_calibration_error, interval_coverage
from astrodlkit.networks import GALAXY_ZOO_2
from astrodlkit.pretrained import Figure
from astrodlkit.specs import Head, OutputSpec
from astrodlkit.specs._calibration import LEVELS
from astrodlkit.training import calibrate

FOLDS, REPEATS = 5, 4
PROBABILITIES = (0, 0.1, 0.2, 0.3, 0.5, 0.7, 1)
Arrays = Mapping[str, np.ndarray]


def validation_outputs(
    classifier: CutoutClassifier, galaxies: LabelledGalaxies
) -> tuple[Arrays, LabelledGalaxies]:
    """The network's numbers for the validation rows with votes or a class, and these rows."""
    labelled = np.isfinite(galaxies.votes).all(axis=1) | (galaxies.class5 >= 0)
    labelled |= np.isfinite(galaxies.debiased).all(axis=1)
    galaxies = galaxies[(galaxies.split == 1) & labelled]
    images, _ = classifier.card.input.prepare(as_cutouts(galaxies))
    outputs = run_batches(classifier.module, images, batch_size=256, device=classifier.device)
    return outputs, galaxies


def calibrated(output: OutputSpec, outputs: Arrays, galaxies: LabelledGalaxies) -> OutputSpec:
    """The output with its calibration, from the challenge's votes and the five classes."""
    return calibrate(output, outputs, {"votes": galaxies.votes, "class": galaxies.class5})


def cross_validated(
    output: OutputSpec, outputs: Arrays, galaxies: LabelledGalaxies
) -> list[Figure]:
    """Print how well the calibration holds on rows that it was not fitted to; the main figures."""
    votes, classes = (next(h for h in output.heads if h.name == n) for n in ("votes", "class"))
    note = f"{FOLDS}-fold cross-validation within validation, {REPEATS} times"
    figures = []

    known = galaxies.class5 >= 0
    raw, truth = outputs["class"][known], galaxies.class5[known]
    names = np.array(classes.labels)[truth]
    right = classes.tabulate(raw)["class"] == names
    held_out = [held_out_probability(classes, raw, truth, i) for i in range(REPEATS)]
    found = [expected_calibration_error(each, right) for each in held_out]
    drawn = np.random.default_rng(0).integers(len(truth), size=(500, len(truth)))
    error = np.std([expected_calibration_error(held_out[0][i], right[i]) for i in drawn])
    bare = expected_calibration_error(raw.max(axis=1), right)
    print(f"expected calibration error, N = {len(truth)}: {bare:.4f} before, "
          f"{np.mean(found):.4f} +- {error:.4f} after")  # fmt: skip
    figures.append(_figure("expected calibration error", np.mean(found), error, len(truth), note))

    known = np.isfinite(galaxies.votes).all(axis=1)
    raw, truth = outputs["votes"][known], galaxies.votes[known]
    inside = covered(votes, raw, truth)
    sizes = apparent_sizes(galaxies.pictures[known])
    third = np.digitize(sizes, np.quantile(sizes, [1 / 3, 2 / 3]))
    question = np.repeat(np.arange(len(GALAXY_ZOO_2)), [len(q.answers) for q in GALAXY_ZOO_2])
    for level, part in zip(LEVELS, inside, strict=True):
        error = np.sqrt(level * (1 - level) / len(truth))
        print(f"{level:.0%} intervals of the challenge's votes, N = {len(truth)} galaxies")
        print(f"  all: {part.mean():.3f}; by label: mean deviation "
              f"{np.abs(part.mean(axis=0) - level).mean():.3f}, "
              f"largest {np.abs(part.mean(axis=0) - level).max():.3f}")  # fmt: skip
        print("  by half-light radius, pixels:",
              *(f"{sizes[third == i].min():.1f}-{sizes[third == i].max():.1f}: "
                f"{part[third == i].mean():.3f}," for i in range(3)))  # fmt: skip
        print("  by predicted fraction:",
              *(f"{a}-{b}: {part[(raw >= a) & (raw <= b)].mean():.3f} "
                f"({((raw >= a) & (raw <= b)).sum()}),"
                for a, b in pairwise(PROBABILITIES)))  # fmt: skip
        print("  by question:", *(f"{part[:, question == q].mean():.3f}" for q in range(11)))
        name = f"coverage of the {level:.0%} intervals of votes"
        figures.append(_figure(name, part.mean(), error, len(truth), note))

    rare = truth[raw < 0.02] == 0
    print(f"  of the {len(rare)} fractions predicted below 0.02, {rare.mean():.0%} are 0 exactly")
    hart = np.isfinite(galaxies.debiased).all(axis=1)
    fitted = calibrated(output, outputs, galaxies)
    for level, part in zip(LEVELS, covered(votes, outputs["votes"][hart], galaxies.debiased[hart]),
                           strict=True):  # fmt: skip
        table = fitted.tabulate({k: v[hart] for k, v in outputs.items()}, interval=level)
        low, high = (np.stack([table[f"{n}_{end}"] for n in votes.labels], axis=1)
                     for end in ("low", "high"))  # fmt: skip
        one = interval_coverage(galaxies.debiased[hart], low, high)
        print(f"debiased votes of Hart et al., N = {one.n}: the challenge's {level:.0%} intervals "
              f"cover {one.value:.3f}; fitted to them (cross-validated) "
              f"{part.mean():.3f}")  # fmt: skip
    return figures


def apparent_sizes(pictures: np.ndarray) -> np.ndarray:
    """Half-light radius of the galaxy in each picture, in pixels, shape (n,)."""
    side = pictures.shape[1]
    radii = np.arange(1, side // 2)
    sizes = []
    for picture in pictures.mean(axis=3):
        edge = np.concatenate([picture[[0, -1]].ravel(), picture[:, [0, -1]].ravel()])
        centre = ((side - 1) / 2, (side - 1) / 2)
        growth = CurveOfGrowth(picture - np.median(edge), centre, radii).profile
        growth = np.maximum.accumulate(growth)
        sizes.append(np.interp(growth[-1] / 2, growth, radii))
    return np.array(sizes)


def held_out_probability(
    head: Head, raw: np.ndarray, truth: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Probability of the class that is given, by a temperature from other rows, shape (n,)."""
    probability = np.zeros(len(truth))
    bare = OutputSpec(heads=(head,))
    for train, test in _folds(len(truth), seed):
        fitted = calibrate(bare, {head.name: raw[train]}, {head.name: truth[train]})
        table = fitted.tabulate({head.name: raw[test]})
        probability[test] = table[f"{head.column}_probability"]
    return probability


def covered(head: Head, raw: np.ndarray, truth: np.ndarray) -> list[np.ndarray]:
    """For each level, how often each truth lay in its interval, shape (n, k)."""
    covered = [np.zeros(truth.shape) for _ in LEVELS]
    bare = OutputSpec(heads=(head,))
    for repeat in range(REPEATS):
        for train, test in _folds(len(truth), repeat):
            fitted = calibrate(bare, {"votes": raw[train]}, {"votes": truth[train]})
            for level, part in zip(LEVELS, covered, strict=True):
                table = fitted.tabulate({"votes": raw[test]}, interval=level)
                for i, name in enumerate(head.labels):
                    inside = truth[test, i] >= table[f"{name}_low"]
                    part[test, i] += inside & (truth[test, i] <= table[f"{name}_high"])
    return [part / REPEATS for part in covered]


def _folds(n: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    order = np.random.default_rng(seed).permutation(n)
    parts = [order[i::FOLDS] for i in range(FOLDS)]
    return [(np.setdiff1d(order, part), part) for part in parts]


def _figure(name: str, value: float, error: float, n: int, note: str) -> Figure:
    return Figure(name, round(float(value), 4), round(float(error), 4), n, "validation", note)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--model", default="galaxyzoo2", help="name, or path of a card")
    parser.add_argument("--card", type=Path, help="JSON file to write, with the calibration")
    args = parser.parse_args()
    classifier = load_model(args.model, device="cpu")
    outputs, galaxies = validation_outputs(classifier, LabelledGalaxies.read(args.data))
    output = calibrated(classifier.card.output, outputs, galaxies)
    cross_validated(classifier.card.output, outputs, galaxies)
    for head in output.heads:
        print(head.name, head.calibration)
    if args.card is not None:
        args.card.write_text(replace(classifier.card, output=output).to_json())


if __name__ == "__main__":
    main()
