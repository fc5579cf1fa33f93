"""Measure a model on the validation rows, through the calls that a user makes."""

import argparse
from pathlib import Path

import numpy as np
from classes import as_cutouts
from labels import LabelledGalaxies

from astrodlkit import load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.pretrained import Figure


def figures(
    classifier: CutoutClassifier, galaxies: LabelledGalaxies, *, views: int
) -> list[Figure]:
    """
    Figures of merit on the validation rows.

    The error of an accuracy is binomial; that of a root mean square is from
    1,000 bootstraps over the galaxies.
    """
    galaxies = galaxies[galaxies.split == 1]
    result = classifier.predict(as_cutouts(galaxies), views=views, precision="float32")
    votes_head, class_head = classifier.card.output.heads
    votes = np.stack([result[name] for name in votes_head.labels], axis=1)
    note = f"mean over {views} views" if views > 1 else "one view"

    labelled = galaxies.class5 >= 0
    names = np.array(class_head.labels)[galaxies.class5[labelled]]
    right = np.asarray(result["class"])[labelled] == names
    measured = [_accuracy("five-class accuracy", right, note)]
    measured += [
        _accuracy(f"accuracy, {name}", right[names == name], note)
        for name in class_head.labels
        if (names == name).any()
    ]
    for name, wanted in (
        ("vote RMSE, Kaggle challenge", galaxies.votes),
        ("vote RMSE, Hart et al. 2016 debiased", galaxies.debiased),
    ):
        known = np.isfinite(wanted).all(axis=1)
        measured.append(_root_mean_square(name, votes[known] - wanted[known], note))
    return measured


def _accuracy(name: str, right: np.ndarray, note: str) -> Figure:
    value, n = right.mean(), len(right)
    error = np.sqrt(max(value * (1 - value), 1 / n / 4) / n)
    return Figure(name, round(float(value), 4), round(float(error), 4), n, "validation", note)


def _root_mean_square(name: str, difference: np.ndarray, note: str) -> Figure:
    square = (difference**2).mean(axis=1)
    n = len(square)
    rows = np.random.default_rng(0).integers(n, size=(1000, n))
    error = np.sqrt(square[rows].mean(axis=1)).std()
    value = np.sqrt(square.mean())
    return Figure(name, round(float(value), 4), round(float(error), 4), n, "validation", note)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--model", default="galaxyzoo2", help="name, or path of a card")
    args = parser.parse_args()
    classifier = load_model(args.model)
    galaxies = LabelledGalaxies.read(args.data)
    for views in (1, 8):
        for figure in figures(classifier, galaxies, views=views):
            print(
                f"{figure.name:40s} {figure.value:.4f} +- {figure.error:.4f}  "
                f"N = {figure.n}  ({figure.note})"
            )


if __name__ == "__main__":
    main()
