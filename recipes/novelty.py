"""
Measure how well the novelty of ``efigi`` and ``first-radio`` tells what is none of their kind.

.. code-block:: console

    $ python recipes/novelty.py efigi DATA --sky SKY
    $ python recipes/novelty.py first-radio DATA

All validation rows as they are, against the same rows with each defect, and against stamps
without a source. ``galaxyzoo2`` has a script of its own, as its novelty is fitted there.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import permutations
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from astrodlkit import Cutouts, load_model
from astrodlkit.pretrained import Figure
from astrodlkit.specs import InputSpec

HERE = Path(__file__).parent
N_BLANK = 300


def defective_galaxies(
    cutouts: Cutouts, spec: InputSpec, sky: Path | None, rng: np.random.Generator
) -> Iterator[tuple[str, Cutouts]]:
    """Stamps with each defect, of the same kinds as for ``galaxyzoo2``."""
    defects = import_module("defects")
    whole = cutouts.data / np.float32(255)
    for order in permutations(range(3)):
        if order != (0, 1, 2):
            name = "band order " + "".join(spec.bands[i] for i in order)
            yield name, defects.as_cutouts(whole[:, list(order)])
    yield "three times too narrow", defects.as_cutouts(defects.too_narrow(whole))
    yield "three times too wide", defects.as_cutouts(defects.too_wide(whole, rng))
    yield "half masked", defects.half_masked(whole, rng)
    trails, spikes = (
        partial(draw, stretch=spec.stretch, rng=rng) for draw in (defects.trails, defects.spikes)
    )
    yield "satellite trails over galaxies", defects.as_cutouts(trails(whole))
    yield "diffraction spikes over galaxies", defects.as_cutouts(spikes(whole))
    if sky is None:
        return
    field = defects.Sky(sky, spec)
    blank = field.blank(N_BLANK, rng)
    yield "blank sky of a frame", blank
    empty = defects.pictures_of(blank, spec)
    yield "satellite trails on sky", defects.as_cutouts(trails(empty))
    yield "diffraction spikes on sky", defects.as_cutouts(spikes(empty))
    for factor in (1, 2, 4):
        note = f", stamps {factor} times as wide" if factor > 1 else ""
        yield f"stars of a frame{note}", field.sources(star=True, faintest=20, factor=factor)
    # To compare with: that of the right kind, of a frame too.
    yield "galaxies of a frame, as they are", field.sources(star=False, faintest=20)


def defective_sources(
    cutouts: Cutouts, _: InputSpec, __: Path | None, rng: np.random.Generator
) -> Iterator[tuple[str, Cutouts]]:
    """Radio stamps with each defect: noise is drawn, cut by the model's stretch."""
    defects = import_module("defects")
    whole = np.asarray(cutouts.data, dtype=np.float32)
    n, _, ny, nx = whole.shape

    def again(pixels: np.ndarray, mask: np.ndarray | None = None) -> Cutouts:
        return Cutouts(pixels.astype(np.float32), mask=mask, bands=cutouts.bands)

    yield "pixels three times too small", again(defects.too_narrow(whole))
    small = whole.reshape(n, 1, ny // 3, 3, nx // 3, 3).mean((3, 5))
    margins = ((0, 0), (0, 0), (ny // 3,) * 2, (nx // 3,) * 2)
    yield "pixels three times too large", again(np.pad(small, margins))
    mask = defects.half_masked(np.repeat(whole, 3, axis=1) / 255, rng).mask[:, :1]
    yield "half masked", again(whole, mask)
    stripes, rays = drawn_artefacts(n, ny, nx, rng)
    yield "stripes over sources", again(whole + 255 * stripes)
    yield "rays over sources", again(whole + 255 * rays)
    noise = import_module("validate").beam_noise((N_BLANK, 1, ny, nx), rng)
    yield "blank sky", again(noise)
    yield "stripes on blank sky", again(noise[:n] + 20 * stripes[:N_BLANK])
    yield "rays on blank sky", again(noise[:n] + 20 * rays[:N_BLANK])
    # Not looked at when the novelty was made.
    yield from ((f"not foreseen: {name}", again(pixels)) for name, pixels in unforeseen(whole, rng))


def unforeseen(whole: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Radio stamps with what the novelty was not made for; the last is no defect."""
    n, _, ny, nx = whole.shape
    middle = slice(ny // 4, -ny // 4), slice(nx // 4, -nx // 4)
    yield "pixels twice too small", zoom(whole[:, :, *middle], (1, 1, 2, 2), order=1)
    small = whole.reshape(n, 1, ny // 2, 2, nx // 2, 2).mean((3, 5))
    yield "pixels twice too large", np.pad(small, ((0, 0), (0, 0), (ny // 4,) * 2, (nx // 4,) * 2))
    yield "a third off the centre", np.roll(whole, nx // 3, axis=3)
    # What 14 arcsec, 7.8 pixels, add in quadrature to FIRST's 5.4.
    yield "a beam of 15 arcsec", gaussian_filter(whole, (0, 0, 3.3, 3.3))
    hot = whole.copy()
    hot[:, :, ny // 5, nx // 2] = 2 * 255
    yield "one hot pixel", hot
    yield "noise without a beam", rng.normal(size=whole.shape)
    for peak in (100, 30, 10):
        yield f"peak {peak} times the noise", import_module("validate").in_noise(whole, peak, rng)


def drawn_artefacts(
    n: int, ny: int, nx: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """
    What an interferometer leaves of a bad baseline and of a bright source elsewhere.

    Waves over the whole stamp, and the six arms of a snapshot's beam, of
    which the source is outside; between 5 and 50 per cent of the peak.
    """
    y, x = np.mgrid[:ny, :nx] - (ny - 1) / 2
    height = np.exp(rng.uniform(np.log(0.05), np.log(0.5), (2, n, 1, 1)))
    angle, phase = rng.uniform(0, 2 * np.pi, (2, n, 1, 1))
    period = rng.uniform(6, 24, (n, 1, 1))
    wave = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period + phase)
    away = rng.uniform(0.55, 1, (n, 1, 1)) * nx
    x, y = x - away * np.cos(phase), y - away * np.sin(phase)
    # One arm points at the middle, or nearly so.
    turned = np.arctan2(y, x) - phase + rng.uniform(-0.1, 0.1, (n, 1, 1))
    radius = np.hypot(x, y)
    off = radius * np.abs((turned + np.pi / 6) % (np.pi / 3) - np.pi / 6)
    arms = np.exp(-0.5 * (off / 2) ** 2) * np.minimum(1, nx / 2 / radius)
    return (height[0] * np.maximum(wave, 0))[:, None], (height[1] * arms)[:, None]


TITLE = "novelty AUROC"
RECIPES = {"efigi": defective_galaxies, "first-radio": defective_sources}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--sky", type=Path, help="folder of the SDSS field, for efigi")
    parser.add_argument("--model", help="name, or path of a card; default: the recipe's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--card", type=Path, help="JSON file to write, with the areas")
    args = parser.parse_args()
    sys.path[1:1] = [str(HERE / args.recipe), str(HERE / "galaxyzoo2")]
    cutouts, _ = import_module("validate").judged(args.data)
    area = import_module("separation").area
    classifier = load_model(args.model or args.recipe, device="cpu")
    rng = np.random.default_rng(args.seed)

    def novelty(stamps: Cutouts) -> np.ndarray:
        return np.asarray(classifier.predict(stamps, precision="float32")["novelty"])

    usual = novelty(cutouts)
    print(f"{classifier.card.full_name}: against {len(usual)} validation rows")
    figures = []
    for name, stamps in RECIPES[args.recipe](cutouts, classifier.input, args.sky, rng):
        far = novelty(stamps)
        far = far[np.isfinite(far)]
        value, error = area(usual, far, rng)
        # Samples that hardly overlap do not in bootstraps either.
        error = error if round(error, 4) else 0.5 / min(len(usual), len(far))
        beyond = f"novelty over 0.99: {(far > 0.99).mean():.0%}"
        print(f"{name:38s} AUROC {value:.4f} +- {error:.4f}  N = {len(far)}; {beyond}", flush=True)
        note = f"against {len(usual)} validation rows; {beyond}"
        numbers = (round(value, 4), round(error, 4), len(far))
        figures.append(Figure(f"{TITLE}, {name}", *numbers, "validation", note))
    if args.card is not None:
        kept = [each for each in classifier.card.figures if not each.name.startswith(TITLE)]
        args.card.write_text(replace(classifier.card, figures=(*kept, *figures)).to_json())


if __name__ == "__main__":
    main()
