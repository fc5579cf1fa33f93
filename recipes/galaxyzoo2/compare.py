"""The table of yardsticks: trained networks on the validation rows, mean over eight views."""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from classes import fit_classes
from export import make_card
from labels import LabelledGalaxies
from train import BACKBONE, input_spec
from validate import figures
from yardsticks import make_network, rate_zoom_and_side

from astrodlkit.classify import CutoutClassifier

# The third-place network saw 120 of 128 pixels that were 200 of the 212 of our pictures.
CROP = slice(5, -5)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("name", help="network of train.py")
    parser.add_argument("network", type=Path, help="its network.pt")
    args = parser.parse_args()

    galaxies = LabelledGalaxies.read(args.data).without_copies_of_validation()
    network = make_network(args.name, BACKBONE)
    network.load_state_dict(torch.load(args.network, weights_only=True))
    *_, side = rate_zoom_and_side(args.name)
    spec = input_spec(galaxies, side)
    if args.name == "third-place":
        galaxies = replace(galaxies, pictures=galaxies.pictures[:, CROP, CROP])
    classifier = CutoutClassifier(make_card(spec, 0, 0, 0), network, device="cpu")
    fit_classes(network.classes, classifier, galaxies)
    print(f"{args.name}: {sum(p.numel() for p in network.parameters())} parameters")
    for figure in figures(classifier, galaxies, views=8):
        print(f"{figure.name:40s} {figure.value:.4f} +- {figure.error:.4f}  N = {figure.n}")


if __name__ == "__main__":
    main()
