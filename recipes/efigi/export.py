"""Turn a trained network into a card and a weight file, with figures measured on the way."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from calibrate import calibrated, cross_validated, validation_outputs
from labels import EfigiGalaxies
from train import BACKBONE, HEADS, OUTPUT, SEED, input_spec
from validate import as_cutouts, figures

from astrodlkit.classify import CutoutClassifier
from astrodlkit.engine import run_batches
from astrodlkit.networks import HeadsNetwork
from astrodlkit.pretrained import Licence, ModelCard, Training, save_model
from astrodlkit.specs import Head, InputSpec, OutputSpec
from astrodlkit.training import fit_novelty

NOVELTY = Head(
    name="novelty",
    kind="fractions",
    labels=("novelty",),
    descriptions=("fraction of the validation galaxies that are nearer to the training galaxies",),
)


def make_card(spec: InputSpec, n_train: int, n_validation: int, seed: int) -> ModelCard:
    """The card without calibration, figures and weights."""
    return ModelCard(
        name="efigi",
        tag="v1",
        title="Hubble type and the sixteen EFIGI attributes from colour pictures of galaxies",
        task="classify",
        architecture="heads",
        options={"backbone": BACKBONE, "heads": HEADS, "novelty": "colour"},
        input=spec,
        output=OutputSpec(heads=(*OUTPUT.heads, NOVELTY)),
        training=Training(
            data="EFIGI (Baillard et al. 2011): SDSS gri colour pictures of nearby galaxies with "
            "a Hubble type and attributes; backbone started from galaxyzoo2",
            n_train=n_train,
            n_validation=n_validation,
            split="by crc32 of the galaxy's name",
            seed=seed,
            recipe="recipes/efigi",
            date=datetime.now(UTC).date().isoformat(),
        ),
        licence=Licence(
            weights="BSD-3-Clause; started from EfficientNet-Lite1 weights, Apache-2.0",
            data="EFIGI: citation of Baillard et al. 2011; SDSS images: public domain with "
            "acknowledgement of SDSS",
        ),
        citations=(
            "EFIGI: Baillard et al. 2011, A&A, 532, A74",
            "SDSS: York et al. 2000, AJ, 120, 1579; Abazajian et al. 2009, ApJS, 182, 543",
            "Backbone, Galaxy Zoo 2: Willett et al. 2013, MNRAS, 435, 2835",
            "Backbone, Galaxy Zoo 1: Lintott et al. 2011, MNRAS, 410, 166",
            "EfficientNet: Tan & Le 2019, ICML, PMLR 97, 6105",
        ),
        intended_use="Hubble types and attributes of nearby, well resolved galaxies (tens of "
        "arcseconds across in SDSS seeing) that fill some two thirds of the stamp.",
        not_for=(
            "fractions of Hubble types in a sample: EFIGI has nearly as many of each",
            "galaxies so small that the point spread function shapes them",
            "telling galaxies from stars, artefacts or empty sky: see the column novelty",
            "attributes to better than a quarter, the step in which they were given",
            "frames with another stretch than SDSS's: the pictures' own was matched to 20 or 30 %",
        ),
    )


def straighten(network: HeadsNetwork, images: np.ndarray, held: EfigiGalaxies) -> None:
    """
    Put each number on the line that fits the validation rows best.

    On pictures that it has not seen a network draws its numbers towards their
    mean: for T this takes 1.098 to 1.094, with two numbers fitted to 653 rows.
    """
    outputs = run_batches(network, images, batch_size=256, device=torch.device("cpu"))
    for head in HEADS:
        name = head["name"]
        lines = []
        for value, truth in zip(outputs[name][..., 0].T, getattr(held, name).T, strict=True):
            known = np.isfinite(truth)
            lines.append(np.polyfit(value[known], truth[known], 1))
        slope, offset = torch.tensor(np.transpose(lines), dtype=torch.float32)
        # A number that says nothing of the truth stays as it is.
        slope, offset = torch.where(slope > 0, slope, 1), torch.where(slope > 0, offset, 0)
        mean, scale = network.units(name)
        network.set_units(name, offset + slope * mean, slope * scale)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("network", type=Path, help="network.pt of the training")
    parser.add_argument("folder", type=Path, help="folder for the card and the weights")
    parser.add_argument("--side", type=int, default=80, help="pixels of a stamp in use")
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()

    galaxies = EfigiGalaxies.read(args.data)
    held = galaxies[galaxies.split == 1]
    network = HeadsNetwork(BACKBONE, HEADS, novelty="colour")
    # What the training did not know of is fitted below.
    network.load_state_dict(torch.load(args.network, weights_only=True), strict=False)
    card = make_card(
        input_spec(galaxies, args.side), len(galaxies) - len(held), len(held), args.seed
    )
    classifier = CutoutClassifier(card, network, device="cpu")
    images, _ = card.input.prepare(as_cutouts(held))
    usual, _ = card.input.prepare(as_cutouts(galaxies[galaxies.split == 0]))
    fit_novelty(
        network, torch.tensor(usual).split(64), torch.tensor(images).split(64), spec=card.input
    )
    straighten(network, images, held)
    outputs = validation_outputs(classifier, held)
    classifier.card = replace(card, output=calibrated(card.output, outputs, held))
    measured = [f for views in (4, 1) for f in figures(classifier, galaxies, views=views)]
    measured += cross_validated(outputs, held)
    card = replace(classifier.card, figures=tuple(measured))
    print(save_model(args.folder, card, network, overwrite=True))


if __name__ == "__main__":
    main()
