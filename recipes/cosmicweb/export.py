"""Turn a trained network into a card and a weight file, with figures measured on the way."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from boxes import THICKNESS, Box
from train import KEPT_APART, SEED, kept_apart, training_boxes
from truth import OM0, PIXELS, REDSHIFT_BINS, SIDES, SIGMA8
from validate import EMULATOR, LEARNED_FROM, compare, read_network, table

from astrodlkit.networks import DensityMapNetwork
from astrodlkit.pretrained import Figure, Licence, ModelCard, Training, save_model
from astrodlkit.specs import MapSpec

# Where the truth itself is good: see the recipe's README.
GOOD_TO = {"500mpc": "0.6 / Mpc", "100mpc": "2 / Mpc"}


def make_card(network: DensityMapNetwork, scale: str, n: tuple[int, int], box: Box) -> ModelCard:
    """The card without figures and weights; ``n`` boxes for training and kept apart."""
    pixel = SIDES[scale] / PIXELS
    unet = network.network
    return ModelCard(
        name=f"cosmicweb-{scale}",
        tag="v1",
        title=f"Maps of the projected matter density, {PIXELS} pixels for {SIDES[scale]:g} Mpc",
        task="emulate",
        architecture="density-maps",
        options={
            "pixel": network.pixel,
            "widths": [block.first.out_channels for block in unet.down],
            "n_noise": network.n_channels - 2,
            "log_k": list(network.log_k),
            "correction_degree": network.correction_degree,
            "limits": network.limits,
        },
        maps=MapSpec(
            pixel=pixel,
            box_size=SIDES[scale],
            thickness=pixel * THICKNESS[scale],
            domain={
                "Om0": OM0,
                "sigma8": SIGMA8,
                "redshift": (REDSHIFT_BINS[0][0], REDSHIFT_BINS[-1][1]),
            },
            fixed={**box.settings["fixed"], "m_nu": 0.0},
        ),
        training=Training(
            data=f"PySCo {box.settings['pysco']}: particle-mesh boxes of {SIDES[scale] / 2:g} and "
            f"{SIDES[scale]:g} Mpc, a particle for each pixel's cube, five snapshots each",
            n_train=n[0],
            n_validation=n[1],
            split=f"boxes whose number is a multiple of {KEPT_APART}",
            seed=SEED,
            recipe="recipes/cosmicweb",
            date=datetime.now(UTC).date().isoformat(),
        ),
        licence=Licence(weights="BSD-3-Clause", data="simulated by the recipe"),
        citations=(
            "GANs for maps: Rodriguez et al. 2018, Computational Astrophysics and Cosmology, 5, 4",
            "PySCo: Breton 2025, A&A, 695, A170",
            "CAMB: Lewis, Challinor & Lasenby 2000, ApJ, 538, 473",
        ),
        intended_use="Many maps of the cosmic web for any flat LCDM cosmology of the domain: "
        "covariances, tests of pipelines and estimators, training sets.",
        not_for=(
            f"scales beyond k = {GOOD_TO[scale]}, where the simulations themselves lack power",
            "light cones: each map is a slab by itself, without neighbours along the line of sight",
            "massive neutrinos, dark energy other than a cosmological constant, baryonic effects",
            "dark matter haloes one by one: their masses and profiles are those of a particle mesh",
            "errors smaller than those of the card",
        ),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path, help="folder that truth.py was given")
    parser.add_argument("work", type=Path, help="folder of the training")
    parser.add_argument("folder", type=Path, help="folder for the card and the weights")
    parser.add_argument("--scale", choices=THICKNESS, default="500mpc")
    parser.add_argument("--set", nargs="+", choices=LEARNED_FROM, default=["train"],
                        help="whose boxes that are kept apart the figures are of")  # fmt: skip
    args = parser.parse_args()

    training = sum(map(len, training_boxes(args.truth / args.scale)))
    apart = [box for name in args.set for box in kept_apart(args.truth / args.scale, name)]
    network = read_network(str(args.work), apart[0])
    card = make_card(network, args.scale, (training, len(apart)), apart[0])
    measured = compare(apart, network)
    n = len(measured.conditions)
    figures = [
        Figure(f"{name}, off by", round(value, 4), round(error, 4), n, "validation", "share")
        for name, _, found in table(measured, args.scale)
        for value, error in [found[EMULATOR]]
    ]
    card = ModelCard.from_dict(card.to_dict() | {"figures": [f.to_dict() for f in figures]})
    # In half precision the polynomials would lose a third of a per cent.
    print(save_model(args.folder, card, network, dtype="float32", overwrite=True))


if __name__ == "__main__":
    main()
