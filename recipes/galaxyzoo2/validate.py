"""Measure a model on the validation rows, through the calls that a user makes."""

import argparse
from pathlib import Path

import numpy as np
from classes import as_cutouts
from labels import LabelledGalaxies
from task import COLUMNS

from astrodlkit import Cutouts, load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.metrics import Measured, accuracy, root_mean_square
from astrodlkit.pretrained import Figure

CLASSES = ("completely_round", "in_between", "cigar_shaped", "edge_on", "spiral")


def judged(folder: Path) -> tuple[Cutouts, dict[str, np.ndarray]]:
    """The validation rows, and what is right for the columns of their results."""
    galaxies = LabelledGalaxies.read(folder)
    galaxies = galaxies[galaxies.split == 1]
    right = dict(zip(COLUMNS, galaxies.votes.T, strict=True))
    return as_cutouts(galaxies), {"class": np.array([*CLASSES, ""])[galaxies.class5], **right}


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
    votes_head, class_head = classifier.card.output.heads[:2]
    votes = np.stack([result[name] for name in votes_head.labels], axis=1)
    note = f"mean over {views} views" if views > 1 else "one view"

    labelled = galaxies.class5 >= 0
    names = np.array(class_head.labels)[galaxies.class5[labelled]]
    given = np.asarray(result["class"])[labelled]
    measured = [_figure("five-class accuracy", accuracy(given, names), note)]
    for name in class_head.labels:
        if (of_name := names == name).any():
            share = accuracy(given[of_name], names[of_name])
            measured.append(_figure(f"accuracy, {name}", share, note))
    for name, wanted in (
        ("vote RMSE, Kaggle challenge", galaxies.votes),
        ("vote RMSE, Hart et al. 2016 debiased", galaxies.debiased),
    ):
        known = np.isfinite(wanted).all(axis=1)
        measured.append(_figure(name, root_mean_square(votes[known] - wanted[known]), note))
    return measured


def _figure(name: str, measured: Measured, note: str) -> Figure:
    value, error = (round(x, 4) for x in measured[:2])
    return Figure(name, value, error, measured.n, "validation", note)


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
