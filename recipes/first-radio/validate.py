"""Measure a model on the validation rows, through the calls that a user makes."""

import argparse
from pathlib import Path

import numpy as np
from sources import CLASSES, RadioSources

from astrodlkit import Cutouts, load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.metrics import Measured, accuracy
from astrodlkit.pretrained import Figure


def as_cutouts(sources: RadioSources) -> Cutouts:
    """The pictures as a user has them."""
    return Cutouts(sources.pictures[:, None].astype(np.float32), bands=("1.4 GHz",))


def judged(folder: Path) -> tuple[Cutouts, dict[str, np.ndarray]]:
    """The validation rows, and what is right for the columns of their results."""
    sources = RadioSources.read(folder)
    sources = sources[sources.split == 1]
    return as_cutouts(sources), {"class": np.array(CLASSES)[sources.label]}


def figures(classifier: CutoutClassifier, sources: RadioSources, *, views: int) -> list[Figure]:
    """Accuracies on the validation rows, with binomial errors."""
    sources = sources[sources.split == 1]
    result = classifier.predict(as_cutouts(sources), views=views, precision="float32")
    note = f"mean over {views} views" if views > 1 else "one view"
    names = np.array(CLASSES)[sources.label]
    given = np.asarray(result["class"])
    measured = [_figure("accuracy of four classes", accuracy(given, names), note)]
    for name in CLASSES:
        share = accuracy(given[names == name], names[names == name])
        measured.append(_figure(f"accuracy, {name}", share, note))
    return measured


def _figure(name: str, measured: Measured, note: str) -> Figure:
    value, error = (round(x, 4) for x in measured[:2])
    return Figure(name, value, error, measured.n, "validation", note)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--model", default="first-radio", help="name, or path of a card")
    args = parser.parse_args()
    classifier = load_model(args.model)
    sources = RadioSources.read(args.data)
    for views in (1, 8):
        for figure in figures(classifier, sources, views=views):
            print(
                f"{figure.name:40s} {figure.value:.4f} +- {figure.error:.4f}  "
                f"N = {figure.n}  ({figure.note})"
            )


if __name__ == "__main__":
    main()
