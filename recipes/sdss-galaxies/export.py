"""Turn a trained generator into a card and a weight file, with figures measured on the way."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from measure import HALF_LIGHT
from rows import Rows
from train import SEED, network_options, read_network
from validate import GENERATOR, judge, report

from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.pretrained import Figure, Licence, ModelCard, Training, save_model
from astrodlkit.specs import TemplateSpec

TITLES = {
    "vae": "autoencoder",
    "gan": "adversarial",
    "vae-gan": "autoencoder, refined by a critic",
    "vae-textures": "autoencoder, refined by textures",
}


def make_card(network: GalaxyTemplateNetwork, rows: Rows, candidate: str) -> ModelCard:
    """The card without figures and weights."""
    training = rows[rows.split == 0]
    known = zip(network.condition_names, training.conditions.T.astype(float), strict=True)
    psf = training.grain / HALF_LIGHT
    return ModelCard(
        name="sdss-galaxies",
        tag="v1",
        title="Nearby galaxies of unit flux in g, r and i, with arms, bars and clumps",
        task="simulate",
        architecture="galaxy-templates",
        options={
            "condition_names": list(network.condition_names),
            **network_options(network.state_dict()),
        },
        templates=TemplateSpec(
            side=network.side,
            half_light=network.half_light,
            bands=network.bands,
            reference="r",
            psf_fwhm=round(float(np.median(psf)), 3),
            psf_fwhm_95=round(float(np.quantile(psf, 0.95)), 3),
            domain={
                name: (round(float(x.min()), 4), round(float(x.max()), 4)) for name, x in known
            },
        ),
        training=Training(
            data="SDSS gri colour pictures of Galaxy Zoo 2 (Kaggle challenge and Hart et al. 2016),"
            " Galaxy Zoo 1 and EFIGI, the stretch undone, neighbours removed; classes and votes of"
            f" volunteers or of galaxyzoo2. {TITLES[candidate]}",
            n_train=len(training),
            n_validation=int((rows.split == 1).sum()),
            split="by crc32 of the galaxy's name; a galaxy that any set has for validation is one",
            seed=SEED,
            recipe="recipes/sdss-galaxies",
            date=datetime.now(UTC).date().isoformat(),
        ),
        licence=Licence(weights="BSD-3-Clause", data="pictures of SDSS and EFIGI; not distributed"),
        citations=(
            "SDSS: York et al. 2000, AJ, 120, 1579",
            "Galaxy Zoo 2: Willett et al. 2013, MNRAS, 435, 2835",
            "Galaxy Zoo 2: Hart et al. 2016, MNRAS, 461, 3663",
            "Galaxy Zoo 1: Lintott et al. 2008, MNRAS, 389, 1179; 2011, MNRAS, 410, 166",
            "EFIGI: Baillard et al. 2011, A&A, 532, A74",
            "Generators of galaxies: Ravanbakhsh et al. 2017, AAAI, 31, 1488",
            "Generators of galaxies: Lanusse et al. 2021, MNRAS, 504, 5543",
        ),
        intended_use="Stamps of galaxies with the structure of real ones, from a catalogue: tests "
        "of detection, deblending, photometry and shear, training sets.",
        not_for=(
            "galaxies with a half-light radius of so many PSFs that the template's own is seen",
            "faint outskirts: pictures show nothing below 24 mag per square arcsecond",
            "light beyond 1.3 Petrosian radii, where templates fade",
            "distant galaxies as they were: the structure is that of nearby ones",
            "shear calibration to better than the card's figure",
        ),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument("model", type=Path, help="folder of train.py, network.pt or a checkpoint")
    parser.add_argument("folder", type=Path, help="folder for the card and the weights")
    parser.add_argument("--candidate", choices=TITLES, required=True)
    parser.add_argument("--n", type=int, default=1000, help="galaxies in each half, at most")
    parser.add_argument("--fits", type=int, default=0, help="galaxies fitted, for the table")
    parser.add_argument("--shears", type=int, default=200)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    rows, network = Rows.read(args.work), read_network(args.model)
    judged = judge(rows, network, args.n, args.fits, args.processes)
    training = rows[rows.split == 0]
    figures = []
    rows_of_table = report(judged, training, network.condition_names, args.shears)
    for title, found in rows_of_table.items():
        value, error, n = found[GENERATOR]
        if np.isfinite([value, error]).all():
            note = "in standard deviations" if "Wasserstein" in title else ""
            # Fluxes are exact but for rounding: an error is never less than the last digit.
            value, error = round(value, 4), max(round(error, 4), 1e-4)
            figures.append(Figure(title.strip(), value, error, n, "validation", note))
    card = make_card(network, rows, args.candidate)
    card = ModelCard.from_dict(card.to_dict() | {"figures": [f.to_dict() for f in figures]})
    print(save_model(args.folder, card, network, overwrite=True))


if __name__ == "__main__":
    main()
