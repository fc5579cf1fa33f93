"""The votes that trained networks give to every training picture, for another to learn from."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from classes import as_cutouts
from export import make_card
from labels import LabelledGalaxies
from train import BACKBONES, input_spec

from astrodlkit.classify import CutoutClassifier
from astrodlkit.networks import GalaxyZooNetwork


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("votes", type=Path, help="file to write, .npy")
    parser.add_argument("networks", type=Path, nargs="+", help="network.pt of each teacher")
    parser.add_argument("--backbone", choices=BACKBONES, default=BACKBONES[0])
    parser.add_argument("--side", type=int, default=88, help="pixels of a stamp")
    parser.add_argument("--views", type=int, default=4, help="orientations of each picture")
    args = parser.parse_args()

    galaxies = LabelledGalaxies.read(args.data).without_copies_of_validation()
    pictures = as_cutouts(galaxies[galaxies.split == 0])
    card = make_card(input_spec(galaxies, args.side), 0, 0, 0)
    card = replace(card, options={"backbone": args.backbone})
    votes = []
    for path in args.networks:
        network = GalaxyZooNetwork(args.backbone)
        network.load_state_dict(torch.load(path, weights_only=True))
        result = CutoutClassifier(card, network, device="cpu").predict(
            pictures, views=args.views, precision="bfloat16", progress=True
        )
        votes.append(np.stack([result[name] for name in card.output.heads[0].labels], axis=1))
    np.save(args.votes, np.mean(votes, axis=0))


if __name__ == "__main__":
    main()
