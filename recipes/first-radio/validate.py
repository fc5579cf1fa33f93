"""Measure a model on the validation rows, through the calls that a user makes."""

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from sources import CLASSES, RadioSources

from astrodlkit import Cutouts, load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.metrics import Measured, accuracy
from astrodlkit.pretrained import Figure

# FIRST's beam of 5.4 arcsec in its pixels of 1.8 arcsec, as a standard deviation.
BEAM = 5.4 / 1.8 / 2.355


def as_cutouts(sources: RadioSources) -> Cutouts:
    """The pictures as a user has them."""
    return Cutouts(sources.pictures[:, None].astype(np.float32), bands=("1.4 GHz",))


def judged(folder: Path) -> tuple[Cutouts, dict[str, np.ndarray]]:
    """The validation rows, and what is right for the columns of their results."""
    sources = RadioSources.read(folder)
    sources = sources[sources.split == 1]
    return as_cutouts(sources), {"class": np.array(CLASSES)[sources.label]}


def beam_noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise with the beam of FIRST, of unit variance."""
    noise = gaussian_filter(rng.normal(size=shape), (0, 0, BEAM, BEAM), mode="wrap")
    return noise / noise.std()


def in_noise(pictures: np.ndarray, peak: float, rng: np.random.Generator) -> np.ndarray:
    """Pictures of 8 bits in noise once more: their peak is so many times as high."""
    return (peak / 255 * pictures + beam_noise(pictures.shape, rng)).astype(np.float32)


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
    sources = sources[sources.split == 1]
    rng = np.random.default_rng(1)
    for peak in (300, 100, 30, 10):
        noisy = Cutouts(in_noise(sources.pictures[:, None], peak, rng), bands=("1.4 GHz",))
        given = np.asarray(classifier.predict(noisy, precision="float32")["class"])
        share = accuracy(given, np.array(CLASSES)[sources.label])
        print(
            f"one view, in noise, the peak {peak} times as high: {share[0]:.3f} +- {share[1]:.3f}"
        )


if __name__ == "__main__":
    main()
