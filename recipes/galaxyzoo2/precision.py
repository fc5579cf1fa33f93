"""How bfloat16 changes the answers on the validation rows, by the calls that a user makes."""

import argparse
from pathlib import Path

import numpy as np
from classes import as_cutouts
from labels import LabelledGalaxies

from astrodlkit import load_model


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--model", default="galaxyzoo2", help="name, or path of a card")
    args = parser.parse_args()
    classifier = load_model(args.model)
    galaxies = LabelledGalaxies.read(args.data)
    galaxies = galaxies[galaxies.split == 1]
    exact, rounded = (
        classifier.predict(as_cutouts(galaxies), precision=precision)
        for precision in ("float32", "bfloat16")
    )
    names = classifier.card.output.heads[0].labels
    change = np.stack([rounded[name] - exact[name] for name in names])
    error = np.stack([exact[f"{name}_error"] for name in names])
    print(
        f"votes of {len(galaxies)} galaxies: differ by {np.sqrt(np.mean(change**2)):.4f} (rms), "
        f"{np.abs(change).max():.3f} at most; their errors are {np.sqrt(np.mean(error**2)):.3f}"
    )
    other = rounded["class"] != exact["class"]
    likeliest = exact["class_probability"][other].max(initial=0)
    print(f"{other.sum()} change their class, all of a probability of {likeliest:.2f} or less")


if __name__ == "__main__":
    main()
