"""Turn a trained network into a card and a weight file, with figures measured on the way."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from sources import RadioSources
from train import BACKBONE, HEADS, OUTPUT, SEED, input_spec
from validate import as_cutouts, figures

from astrodlkit import load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.engine import run_batches
from astrodlkit.networks import HeadsNetwork
from astrodlkit.pretrained import Licence, ModelCard, Training, save_model
from astrodlkit.specs import Head, InputSpec, OutputSpec
from astrodlkit.training import calibrate, fit_novelty

NOVELTY = Head(
    name="novelty",
    kind="fractions",
    labels=("novelty",),
    descriptions=("fraction of the validation sources that are nearer to the training sources",),
)


def make_card(spec: InputSpec, n_train: int, n_validation: int, seed: int) -> ModelCard:
    """The card without calibration, figures and weights."""
    return ModelCard(
        name="first-radio",
        tag="v1",
        title="FRI, FRII, compact and bent radio sources from FIRST images",
        task="classify",
        architecture="heads",
        options={"backbone": BACKBONE, "heads": HEADS, "novelty": "sources"},
        input=spec,
        output=OutputSpec(heads=(*OUTPUT.heads, NOVELTY)),
        training=Training(
            data="FIRST images at 1.4 GHz with the labels of Griese et al. 2023; backbone started "
            "from galaxyzoo2",
            n_train=n_train,
            n_validation=n_validation,
            split="that of the data set",
            seed=seed,
            recipe="recipes/first-radio",
            date=datetime.now(UTC).date().isoformat(),
        ),
        licence=Licence(
            weights="non-commercial scholarly use, as the data they were learned from; started "
            "from EfficientNet-Lite1 weights, Apache-2.0",
            data="FIRST and the labels of Griese et al. 2023: non-commercial scholarly use",
        ),
        citations=(
            "FIRST: Becker et al. 1995, ApJ, 450, 559",
            "Labels: Griese et al. 2023, Data in Brief, 47, 108974",
            "EfficientNet: Tan & Le 2019, ICML, PMLR 97, 6105",
        ),
        intended_use="Radio sources of FIRST (5 arcsec beam, 1.8 arcsec pixels, 0.15 mJy/beam "
        "noise) that are centred and less than some 2.5 arcmin long.",
        not_for=(
            "fractions of classes in a sample: probabilities are for equally frequent classes",
            "telling sources from artefacts and empty sky: see the column novelty",
            "faint sources: at peaks of 100, 30 and 10 times the noise 75, 66 and 49 % are right",
            "surveys with another beam: what is compact depends on it",
            "commercial use, which the licence of the data excludes",
        ),
    )


def trained(start: str) -> tuple[dict[str, torch.Tensor], ModelCard | None]:
    """What a network learned, without its novelty; and the card, if it is a model's."""
    if start.endswith(".pt"):
        return torch.load(start, weights_only=True), None
    model = load_model(start, device="cpu")
    weights = model.module.state_dict()
    learned = {name: values for name, values in weights.items() if "novelty." not in name}
    return learned, model.card


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument(
        "network", help="network.pt of the training; or a model, whose novelty is fitted anew"
    )
    parser.add_argument("folder", type=Path, help="folder for the card and the weights")
    parser.add_argument("--side", type=int, default=96, help="pixels of a stamp in use")
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()

    sources = RadioSources.read(args.data)
    held = sources[sources.split == 1]
    card = make_card(input_spec(sources, args.side), len(sources) - len(held), len(held), args.seed)
    learned, known = trained(args.network)
    network = HeadsNetwork(**card.options)
    # What the training did not know of is fitted below.
    network.load_state_dict(learned, strict=False)
    classifier = CutoutClassifier(card, network, device="cpu")
    images, _ = card.input.prepare(as_cutouts(held))
    usual, _ = card.input.prepare(as_cutouts(sources[sources.split == 0]))
    # One validation picture is all black: a source it is not.
    lit = torch.tensor(images[held.pictures.any(axis=(1, 2))])
    fit_novelty(network, torch.tensor(usual).split(64), lit.split(64), spec=card.input)
    if known is None:
        outputs = run_batches(network, images, batch_size=256, device=classifier.device)
        output = calibrate(card.output, outputs, {"class": held.label})
        classifier.card = replace(card, output=output)
    else:
        # The answers stay as they were, to the last digit.
        classifier.card = replace(card, output=known.output, training=known.training)
    measured = [f for views in (8, 1) for f in figures(classifier, sources, views=views)]
    card = replace(classifier.card, figures=tuple(measured))
    print(save_model(args.folder, card, network, overwrite=True))


if __name__ == "__main__":
    main()
