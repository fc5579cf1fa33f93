"""Fit the novelty of a network, and measure how well it tells galaxies from what is none."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import defects
import numpy as np
import torch
from defects import Sky, add_light, as_cutouts, pictures_of
from labels import LabelledGalaxies
from separation import area
from torch.nn.functional import interpolate

from astrodlkit import Cutouts, load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.networks import GalaxyZooNetwork
from astrodlkit.pretrained import Figure
from astrodlkit.specs import Head, InputSpec
from astrodlkit.training import fit_novelty

HEAD = Head(
    name="novelty",
    kind="fractions",
    labels=("novelty",),
    descriptions=("fraction of the validation galaxies that are nearer to the training galaxies",),
)
# Scatter of the sky of SDSS frames in i, r and g (run 94, camcol 1, field 12), in nanomaggies per
# square arcsecond after the scales of the model's stretch; and the width of their pixels.
SKY_NOISE = np.array([0.27, 0.22, 0.23], dtype=np.float32)
FRAME_PIXEL = 0.396
STEP = 64


def add_novelty(
    classifier: CutoutClassifier, galaxies: LabelledGalaxies, *, most: int = 6000, seed: int = 0
) -> CutoutClassifier:
    """The same classifier with a novelty, fitted to at most so many training rows."""
    card = classifier.card
    heads = tuple(head for head in card.output.heads if head.name != HEAD.name)
    card = replace(
        card,
        options={**card.options, "novelty": "colour"},
        output=replace(card.output, heads=(*heads, HEAD)),
    )
    network = GalaxyZooNetwork(**card.options)
    trained = classifier.module.state_dict()
    own = network.state_dict()
    network.load_state_dict({**own, **{k: v for k, v in trained.items() if "novelty" not in k}})
    fit(network, card.input, galaxies, most=most, seed=seed)
    return CutoutClassifier(card, network, device=classifier.device)


def fit(
    network: GalaxyZooNetwork,
    spec: InputSpec,
    galaxies: LabelledGalaxies,
    *,
    most: int = 6000,
    seed: int = 0,
) -> None:
    """
    Fit the novelty of a network to training rows, and its quantiles to the validation rows.

    Each training picture counts twice: as it is, and as it would look through
    the model's stretch on an SDSS frame, whose sky is darker and rougher than
    that of the survey's own pictures.
    """
    rng = np.random.default_rng(seed)
    training = rng.permutation(np.flatnonzero(galaxies.split == 0))[:most]
    validation = np.flatnonzero(galaxies.split == 1)

    def images(rows: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(rows), STEP):
            yield spec.prepare(as_cutouts(pictures(galaxies[rows[start : start + STEP]])))[0]

    def views() -> Iterator[torch.Tensor]:
        for clean in images(training):
            yield torch.from_numpy(clean)
            yield torch.from_numpy(as_on_a_frame(clean, spec, rng))

    fit_novelty(network, views(), map(torch.from_numpy, images(validation)), spec=spec)


def as_on_a_frame(images: np.ndarray, spec: InputSpec, rng: np.random.Generator) -> np.ndarray:
    """Standardised images with the noise of SDSS frames, in grains of their pixels."""
    light = np.empty_like(images)
    for i in range(len(images)):
        width = np.exp(rng.uniform(np.log(12), np.log(60)))
        cells = max(8, round(width / FRAME_PIXEL))
        grain = torch.from_numpy(rng.normal(size=(1, 3, cells, cells)).astype(np.float32))
        grain = interpolate(grain, spec.shape, mode="bilinear", antialias=True)[0].numpy()
        # The pictures' sky is a little brighter than the level that the stretch cuts off.
        cut = spec.stretch.minimum * rng.uniform(0.3, 1.2)
        light[i] = SKY_NOISE[:, None, None] * rng.uniform(0.6, 1.3) * grain - cut
    mean, std = (np.array(a, dtype=np.float32)[:, None, None] for a in (spec.mean, spec.std))
    noisy = add_light(images * std + mean, light, spec.stretch)
    return spec.standardise(np.clip(noisy, 0, 1)).astype(np.float32)


def pictures(galaxies: LabelledGalaxies) -> np.ndarray:
    """Pictures between 0 and 1, shape (n, 3, 96, 96)."""
    return np.moveaxis(galaxies.pictures, 3, 1).astype(np.float32) / 255


def defective(
    galaxies: LabelledGalaxies, folder: Path, spec: InputSpec, rng: np.random.Generator
) -> Iterator[tuple[str, Cutouts]]:
    """Stamps with each defect: of validation galaxies and of an SDSS field."""
    whole = pictures(galaxies)
    stretch = spec.stretch
    for order in permutations(range(3)):
        if order != (0, 1, 2):
            name = "band order " + "".join(spec.bands[i] for i in order)
            yield name, as_cutouts(whole[:, list(order)])
    yield "three times too narrow", as_cutouts(defects.too_narrow(whole))
    yield "three times too wide", as_cutouts(defects.too_wide(whole, rng))
    yield "half masked", defects.half_masked(whole, rng)
    half = len(whole) // 2
    yield "satellite trails over galaxies", as_cutouts(defects.trails(whole[:half], stretch, rng))
    yield "diffraction spikes over galaxies", as_cutouts(defects.spikes(whole[half:], stretch, rng))
    sky = Sky(folder, spec)
    blank = sky.blank(300, rng)
    yield "blank sky", blank
    empty = pictures_of(blank, spec)
    yield "satellite trails on sky", as_cutouts(defects.trails(empty, stretch, rng))
    yield "diffraction spikes on sky", as_cutouts(defects.spikes(empty, stretch, rng))
    for factor, note in (
        (1, ""),
        (2, ", stamps twice as wide"),
        (4, ", stamps four times as wide"),
    ):
        yield f"stars{note}", sky.sources(star=True, faintest=20, factor=factor)
    for factor, note in ((3, "three times too wide"), (1 / 3, "three times too narrow")):
        name = f"galaxies of a frame, {note}"
        yield name, sky.sources(star=False, faintest=20, factor=factor)
    frames = dict(zip(spec.bands, reversed(sky.frames.values()), strict=True))
    sky.frames = frames
    name = "galaxies of a frame, band order reversed"
    yield name, sky.sources(star=False, faintest=20)


def figures(
    classifier: CutoutClassifier,
    galaxies: LabelledGalaxies,
    folder: Path,
    *,
    most: int = 1400,
    seed: int = 1,
    drawn: Path | None = None,
) -> list[Figure]:
    """
    Area under the receiver operating characteristic of the novelty, for each defect.

    Half of the validation rows stay as they are, the others get the defects.
    The errors are from 500 bootstraps. ``drawn`` is a file for a picture of them.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.flatnonzero(galaxies.split == 1))[:most]
    clean, other = galaxies[rows[: len(rows) // 2]], galaxies[rows[len(rows) // 2 :]]

    def novelty(cutouts: Cutouts) -> np.ndarray:
        return np.asarray(classifier.predict(cutouts, precision="float32")["novelty"])

    usual = novelty(as_cutouts(pictures(clean)))
    spec = classifier.card.input
    measured, novelties = [], {}
    for name, cutouts in defective(other, folder, spec, rng):
        far = novelties[name] = novelty(cutouts)
        value, error = area(usual, far, rng)
        measured.append(
            Figure(
                f"novelty AUROC, {name}",
                round(value, 4),
                round(error, 4),
                len(far),
                "validation",
                f"against {len(usual)} galaxies; novelty over 0.99: {(far > 0.99).mean():.0%}",
            )
        )
    if drawn is not None:
        from novelty_figure import draw

        draw(drawn, usual, novelties, dict(zip(novelties, measured, strict=True)), spec)
    return measured


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("sky", type=Path, help="folder of the SDSS field")
    parser.add_argument("--model", default="galaxyzoo2", help="name, or path of a card")
    parser.add_argument("--fit", action="store_true", help="fit it anew; so without a novelty")
    parser.add_argument("--save", type=Path, help="folder for the fitted model")
    parser.add_argument("--figure", type=Path, help="picture to draw")
    args = parser.parse_args()
    classifier = load_model(args.model)
    galaxies = LabelledGalaxies.read(args.data).without_copies_of_validation()
    if args.fit or "novelty" not in [head.name for head in classifier.card.output.heads]:
        classifier = add_novelty(classifier, galaxies)
    if args.save:
        classifier.save(args.save)
    for figure in figures(classifier, galaxies, args.sky, drawn=args.figure):
        print(
            f"{figure.name:60s} {figure.value:.4f} +- {figure.error:.4f}  "
            f"N = {figure.n}  ({figure.note})"
        )


if __name__ == "__main__":
    main()
