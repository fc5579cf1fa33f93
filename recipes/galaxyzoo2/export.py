"""Turn a trained network into a card and a weight file, with figures measured on the way."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from calibrate import calibrated, cross_validated, validation_outputs
from classes import fit_classes
from labels import LabelledGalaxies
from novelty import add_novelty
from novelty import figures as novelty_figures
from train import BACKBONE, SEED, input_spec
from validate import CLASSES, figures

from astrodlkit import load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.networks import GALAXY_ZOO_2, GalaxyZooNetwork
from astrodlkit.pretrained import Licence, ModelCard, Training, save_model
from astrodlkit.specs import Head, InputSpec, OutputSpec

OUTPUT = OutputSpec(
    heads=(
        Head(
            name="votes",
            kind="fractions",
            labels=tuple(column for question in GALAXY_ZOO_2 for column in question.columns),
            descriptions=tuple(
                f"fraction of all votes (Galaxy Zoo challenge Class{q}.{a})"
                for q, question in enumerate(GALAXY_ZOO_2, start=1)
                for a, _ in enumerate(question.answers, start=1)
            ),
        ),
        Head(name="class", kind="classes", labels=CLASSES),
    )
)


def make_card(spec: InputSpec, n_train: int, n_validation: int, seed: int) -> ModelCard:
    """The card without figures and weights."""
    return ModelCard(
        name="galaxyzoo2",
        tag="v1",
        title="Galaxy Zoo 2 votes and five classes from colour pictures of galaxies",
        task="classify",
        architecture="galaxy-zoo",
        options={"backbone": BACKBONE},
        input=spec,
        output=OUTPUT,
        training=Training(
            data="SDSS gri colour pictures labelled by Galaxy Zoo 2 (votes of the Kaggle "
            "challenge and of Hart et al. 2016, classes and weak labels that follow from them; "
            "elsewhere the mean of two earlier networks), Galaxy Zoo 1 and EFIGI; backbone "
            "started from ImageNet weights of EfficientNet-Lite1",
            n_train=n_train,
            n_validation=n_validation,
            split="by crc32 of the galaxy's name; copies of validation galaxies removed",
            seed=seed,
            recipe="recipes/galaxyzoo2",
            date=datetime.now(UTC).date().isoformat(),
        ),
        licence=Licence(
            weights="BSD-3-Clause; started from EfficientNet-Lite1 weights, Apache-2.0",
            data="SDSS images: public domain with acknowledgement of SDSS; Galaxy Zoo votes: "
            "citation of the data releases; EFIGI: citation of Baillard et al. 2011",
        ),
        citations=(
            "SDSS: York et al. 2000, AJ, 120, 1579; Abazajian et al. 2009, ApJS, 182, 543",
            "Galaxy Zoo 2: Willett et al. 2013, MNRAS, 435, 2835",
            "Galaxy Zoo 2, weighted and debiased: Hart et al. 2016, MNRAS, 461, 3663",
            "Galaxy Zoo 1: Lintott et al. 2008, MNRAS, 389, 1179; 2011, MNRAS, 410, 166",
            "EFIGI: Baillard et al. 2011, A&A, 532, A74",
            "Five classes: Zhu et al. 2019, Ap&SS, 364, 55",
            "EfficientNet: Tan & Le 2019, ICML, PMLR 97, 6105",
        ),
        intended_use="Morphology of nearby, resolved galaxies (r < 17 or so, Petrosian-90 radius "
        "of 3 arcsec and more in SDSS seeing) from gri colours, on stamps about 4.24 "
        "Petrosian-90 radii wide.",
        not_for=(
            "telling galaxies from stars, artefacts or empty sky by the class: see novelty",
            "galaxies so small that the point spread function shapes them",
            "the cigar_shaped class by itself: 36 galaxies in training, 13 in validation",
            "fractions of rare answers (rings, lenses, mergers) one galaxy at a time",
            "samples for statistics without a measured completeness: votes are not debiased",
            "the sense in which spirals wind: mirror images count as the same",
        ),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("network", type=Path, help="network.pt of the training")
    parser.add_argument("folder", type=Path, help="folder for the card and the weights")
    parser.add_argument("--sky", type=Path, help="folder of an SDSS field, to judge the novelty")
    parser.add_argument("--side", type=int, default=80, help="pixels of a stamp in use")
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()

    galaxies = LabelledGalaxies.read(args.data).without_copies_of_validation()
    network = GalaxyZooNetwork(BACKBONE)
    network.load_state_dict(torch.load(args.network, weights_only=True))
    n_validation = int((galaxies.split == 1).sum())
    card = make_card(
        input_spec(galaxies, args.side), len(galaxies) - n_validation, n_validation, args.seed
    )
    classifier = CutoutClassifier(card, network, device="cpu")
    fit_classes(network.classes, classifier, galaxies)
    classifier = add_novelty(classifier, galaxies)
    with TemporaryDirectory() as folder:
        # What is judged is what is kept: weights in float16.
        classifier.save(folder)
        classifier = load_model(folder, device="cpu")
    outputs, held = validation_outputs(classifier, galaxies)
    measured = [f for views in (8, 1) for f in figures(classifier, galaxies, views=views)]
    measured += cross_validated(classifier.card.output, outputs, held)
    if args.sky:
        measured += novelty_figures(classifier, galaxies, args.sky)
    output = calibrated(classifier.card.output, outputs, held)
    card = replace(classifier.card, output=output, figures=tuple(measured))
    print(save_model(args.folder, card, classifier.module, overwrite=True))


if __name__ == "__main__":
    main()
