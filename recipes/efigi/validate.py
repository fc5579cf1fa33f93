"""Measure a model on the validation rows, through the calls that a user makes."""

import argparse
from pathlib import Path

import numpy as np
from labels import ATTRIBUTES, EfigiGalaxies

from astrodlkit import Cutouts, load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.metrics import root_mean_square
from astrodlkit.pretrained import Figure


def as_cutouts(galaxies: EfigiGalaxies) -> Cutouts:
    """The pictures as a user has them."""
    pictures = np.moveaxis(galaxies.pictures, 3, 1).astype(np.float32)
    return Cutouts(pictures, bands=("red", "green", "blue"))


def judged(folder: Path) -> tuple[Cutouts, dict[str, np.ndarray]]:
    """The validation rows, and what is right for the columns of their results."""
    galaxies = EfigiGalaxies.read(folder)
    galaxies = galaxies[galaxies.split == 1]
    right = dict(zip(ATTRIBUTES, galaxies.attributes.T, strict=True))
    return as_cutouts(galaxies), {"t_type": galaxies.t_type[:, 0], **right}


def figures(classifier: CutoutClassifier, galaxies: EfigiGalaxies, *, views: int) -> list[Figure]:
    """Root mean square errors on the validation rows, with errors from 1,000 bootstraps."""
    galaxies = galaxies[galaxies.split == 1]
    result = classifier.predict(as_cutouts(galaxies), views=views, precision="float32")
    note = f"mean over {views} views" if views > 1 else "one view"
    measured = [_figure("T type, RMS error", result["t_type"] - galaxies.t_type[:, 0], note)]
    spiral = (galaxies.t_type[:, 0] >= 1) & (galaxies.t_type[:, 0] <= 9)
    off = (result["t_type"] - galaxies.t_type[:, 0])[spiral]
    measured.append(_figure("T type, RMS error for T = 1 to 9", off, note))
    for name, wanted in zip(ATTRIBUTES, galaxies.attributes.T, strict=True):
        off = np.asarray(result[name] - wanted)
        measured.append(_figure(f"{name}, RMS error", off[np.isfinite(off)], note))
    return measured


def _figure(name: str, off: np.ndarray, note: str) -> Figure:
    measured = root_mean_square(off)
    value, error = (round(x, 4) for x in measured[:2])
    return Figure(name, value, error, measured.n, "validation", note)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--model", default="efigi", help="name, or path of a card")
    args = parser.parse_args()
    classifier = load_model(args.model)
    galaxies = EfigiGalaxies.read(args.data)
    for views in (1, 4):
        for figure in figures(classifier, galaxies, views=views):
            print(
                f"{figure.name:40s} {figure.value:.4f} +- {figure.error:.4f}  "
                f"N = {figure.n}  ({figure.note})"
            )


if __name__ == "__main__":
    main()
