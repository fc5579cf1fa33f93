"""
How real are generated templates? Beside Sersic fits, bulge+disc fits, and real against real.

.. code-block:: console

    $ python recipes/sdss-galaxies/validate.py WORK MODEL --n 500

Validation galaxies are halved. One half is the reference; the conditions of the other are asked
for, its own templates are "real/real", and its fits, drawn by GalSim, are the yardsticks. What is
made has the noise of the galaxy that it stands for, as real templates have theirs. Errors are the
scatter of 200 bootstraps over galaxies, or binomial; medians' are bootstraps too. Of two halves the
distances depend on which galaxies are in which: they are means over `HALVINGS`, and their errors
the scatter from one to the next, but for the fits, of which there are few.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from conditions import classify
from linear import SDSS
from measure import HALF_LIGHT
from measures import ASKED, MEASURES, POWERS, distances, measure_all, with_error
from rows import Rows, add_noise, fade_of
from scipy.ndimage import affine_transform, gaussian_filter
from shear import slopes
from train import read_network
from twosample import forest, pixels
from yardsticks import KINDS, fit_all

from astrodlkit import CutoutClassifier, load_model
from astrodlkit.networks import GalaxyTemplateNetwork

SEED = 71
REFERENCE, REAL, GENERATOR = "reference", "real/real", "generator"
LIKE_REFERENCE = "generator for the reference"  # for other halvings
SIDE = 96  # of a picture of Galaxy Zoo
DRAWS = 4  # galaxies of each one's conditions that are classified
HALVINGS = 40
Cell = tuple[float, float, int]


@dataclass
class Judged:
    """
    Templates of each source, and what was measured of them.

    Whose class volunteers have said is beside, and templates of these, once or more: all galaxies
    kept apart, but for the fits.
    """

    rows: dict[str, Rows]
    light: dict[str, np.ndarray] = field(repr=False)
    clean: dict[str, np.ndarray] = field(repr=False)
    told: dict[str, tuple[Rows, list[np.ndarray]]] = field(repr=False)
    processes: int = 1

    @property
    def sources(self) -> list[str]:
        """What is compared with the reference."""
        return [name for name in self.light if name not in (REFERENCE, LIKE_REFERENCE)]

    @cached_property
    def measured(self) -> dict[str, np.ndarray]:
        """`COLUMNS` of each source, (n, n_columns), rows with NaN among them."""
        return {
            name: measure_all(light, self.rows[name].noise, self.rows[name].grain, self.processes)
            for name, light in self.light.items()
        }

    @cached_property
    def halvings(self) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Real galaxies of one half, and of the other real and generated ones, as `complete`."""
        real = np.concatenate([self.measured[name] for name in (REFERENCE, REAL)])
        made = np.concatenate([self.measured[name] for name in (LIKE_REFERENCE, GENERATOR)])
        real_known, made_known = (np.isfinite(part).all(1) for part in (real, made))
        found, rng = [], np.random.default_rng(SEED)
        for _ in range(HALVINGS):
            one = rng.permutation(len(real)) < len(real) // 2
            beside = {REAL: real[~one & real_known], GENERATOR: made[~one & made_known]}
            found.append((real[one & real_known], beside))
        return found

    def complete(self, name: str) -> np.ndarray:
        """What could be measured of a source."""
        found = self.measured[name]
        return found[np.isfinite(found).all(1)]


def generate(network: GalaxyTemplateNetwork, rows: Rows, seed: int) -> tuple[np.ndarray, ...]:
    """Templates of the rows' conditions, without noise and with the rows'."""
    random, both = torch.Generator().manual_seed(seed), []
    for start in range(0, len(rows), 128):
        batch = rows.tensors(np.arange(start, min(start + 128, len(rows))))
        latent = torch.randn(len(batch["noise"]), network.n_latent, generator=random)
        with torch.inference_mode():
            made = network(latent, batch["conditions"])
            axis_ratio = network.column(batch["conditions"], "axis_ratio")
            both.append((made.numpy(), add_noise(made, batch, axis_ratio, random).numpy()))
    clean, noisy = zip(*both, strict=True)
    return np.concatenate(clean), np.concatenate(noisy)


def noisy(light: np.ndarray, rows: Rows, axis_ratio: np.ndarray, seed: int) -> np.ndarray:
    """Light that ends as templates do, with the noise of the rows."""
    random = torch.Generator().manual_seed(seed)
    batch = rows.tensors(np.arange(len(rows)))
    made, axis_ratio = torch.from_numpy(light).float(), torch.from_numpy(axis_ratio)
    return add_noise(fade_of(made, axis_ratio) * made, batch, axis_ratio, random).numpy()


def judge(rows: Rows, network: GalaxyTemplateNetwork, n: int, fits: int, processes: int) -> Judged:
    """Halve the galaxies, at most ``n`` each, and make what is to be compared."""
    mixed = np.random.default_rng(SEED).permutation(np.flatnonzero(rows.split == 1))
    half = min(n, len(mixed) // 2)
    reference, asked = rows[mixed[:half]], rows[mixed[half : 2 * half]]
    clean, made = generate(network, asked, SEED)
    told = rows[(rows.split == 1) & (rows.class5 >= 0)]
    judged = Judged(
        {REFERENCE: reference, LIKE_REFERENCE: reference, REAL: asked, GENERATOR: asked},
        {REFERENCE: reference.templates.astype(np.float32),
         LIKE_REFERENCE: generate(network, reference, SEED + DRAWS)[1],
         REAL: asked.templates.astype(np.float32), GENERATOR: made},
        {GENERATOR: clean},
        {REAL: (told, [told.templates.astype(np.float32)]),
         GENERATOR: (told, [generate(network, told, SEED + i)[1] for i in range(DRAWS)])}
        if len(told) else {},
        processes,
    )  # fmt: skip
    few = asked[: min(fits, half)]
    axis_ratio = few.conditions[:, network.condition_names.index("axis_ratio")]
    for k, kind in enumerate(KINDS if fits else ()):
        drawn = fit_all(few.templates, few.noise, few.grain, kind, processes)
        judged.clean[kind], judged.rows[kind] = drawn, few
        judged.light[kind] = noisy(drawn, few, axis_ratio, SEED + 1 + k)
        said = few.class5 >= 0
        judged.told[kind] = few[said], [judged.light[kind][said]]
    return judged


def wasserstein(judged: Judged) -> Iterator[tuple[str, dict[str, Cell]]]:
    """Mean distance, and each measure's."""
    reference = judged.complete(REFERENCE)
    names = ("mean Wasserstein distance", *(f"  {m}" for m in MEASURES), "  power spectrum")
    fits = {name: judged.complete(name) for name in KINDS if name in judged.light}
    each = {
        name: np.array([distances(beside[name], half) for half, beside in judged.halvings])
        for name in (REAL, GENERATOR)
    }
    for k, title in enumerate(names):

        def statistic(a: np.ndarray, b: np.ndarray, k: int = k) -> float:
            each = distances(a, b)
            return float(each.mean() if k == 0 else each[k - 1])

        repeats = 200 if k == 0 else 50
        found = {}
        for name, rows in each.items():
            values = rows.mean(1) if k == 0 else rows[:, k - 1]
            n = round(np.mean([len(beside[name]) for _, beside in judged.halvings]))
            found[name] = float(values.mean()), float(values.std()), n
        for name, made in fits.items():
            found[name] = *with_error(statistic, (made, reference), repeats), len(made)
        yield title, found


def two_samples(judged: Judged) -> Iterator[tuple[str, dict[str, Cell]]]:
    """Accuracies of classifiers that tell a source from the reference."""
    n = len(MEASURES) + len(POWERS)
    reference = judged.complete(REFERENCE)[:, :n]
    yield (
        "random forest, accuracy",
        {name: forest(judged.complete(name)[:, :n], reference) for name in judged.sources},
    )
    yield (
        "small CNN, accuracy",
        {name: pixels(judged.light[name], judged.light[REFERENCE]) for name in judged.sources},
    )


def asked_for(judged: Judged, names: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Cell]]]:
    """Medians of how far what was measured is from what was asked."""
    first = len(MEASURES) + len(POWERS)
    for k, title in enumerate(ASKED):
        found = {}
        for name in judged.sources:
            values = judged.measured[name][:, first + k]
            rows = judged.rows[name].conditions
            wanted = rows[:, names.index("axis_ratio")] if title == "axis ratio" else 0
            # A round galaxy has no angle.
            known = np.isfinite(values)
            if title == "angle":
                known &= rows[:, names.index("axis_ratio")] < 0.9
            off = np.abs(values - wanted)[known]
            found[name] = (*with_error(np.median, (off,)), len(off))
        yield f"{title}, median off", found


def as_pictures(light: np.ndarray, rows: Rows) -> list[np.ndarray]:
    """Pictures as Galaxy Zoo 2's of templates, each (side, side, 3) uint8."""
    pictures = []
    for template, brightness, width in zip(light, rows.brightness, rows.width, strict=True):
        step = float(np.clip(width, 20, 120)) / SIDE
        corner = (template.shape[-1] - 1) / 2 - step * (SIDE - 1) / 2
        bands = np.array([
            affine_transform(gaussian_filter(band.astype(float), 0.4 * max(step - 0.8, 0)),
                             [step, step], corner, (SIDE, SIDE), order=1)
            for band in template
        ])  # fmt: skip
        levels = SDSS.apply((bands * brightness + 0.1)[None, ::-1].astype(np.float32))[0]
        pictures.append(np.rint(255 * np.moveaxis(levels, 0, 2)).astype(np.uint8))
    return pictures


def agrees(classifier: CutoutClassifier, light: np.ndarray, rows: Rows) -> np.ndarray:
    """Whether the classifier sees the class that volunteers have said, (n,)."""
    return classify(classifier, as_pictures(light, rows))[:, :5].argmax(1) == rows.class5


def agreement(judged: Judged) -> Iterator[tuple[str, dict[str, Cell]]]:
    """How often the classifier sees the class that was asked for; of a volunteers' class."""
    classifier, found = load_model("galaxyzoo2", device="cpu"), {}
    for name, (rows, draws) in judged.told.items():
        if len(rows) == 0:
            continue
        right = np.mean([agrees(classifier, light, rows) for light in draws], axis=0)
        error = float(np.sqrt(max(right.var(), 0.01) / len(right)))
        found[name] = float(right.mean()), error, len(right)
    yield "class agrees", found


def memory(judged: Judged, training: Rows) -> Iterator[tuple[str, dict[str, Cell]]]:
    """Median distance to the nearest training template, over that of held-out templates."""
    known = _compared(training.templates)
    near = {}
    for name in (REFERENCE, *judged.sources):
        points = _compared(judged.light[name])
        best = np.full(len(points), np.inf)
        for turn in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            turned = points.reshape(-1, 20, 20)[:, :: turn[0], :: turn[1]].reshape(points.shape)
            square = (turned**2).sum(1)[:, None] + (known**2).sum(1) - 2 * turned @ known.T
            best = np.minimum(best, np.sqrt(np.maximum(square.min(1), 0)))
        near[name] = best

    def ratio(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.median(a) / np.median(b))

    yield (
        "nearest training template, ratio",
        {
            name: (*with_error(ratio, (near[name], near[REFERENCE])), len(near[name]))
            for name in judged.sources
        },
    )


def _compared(light: np.ndarray) -> np.ndarray:
    """Stretched r in blocks of 4 pixels, (n, 400)."""
    small = light[:, 1].astype(np.float32).reshape(len(light), 20, 4, 20, 4).mean((2, 4))
    return np.arcsinh(small / 1e-4).reshape(len(light), -1)


def sheared(judged: Judged, n: int) -> Iterator[tuple[str, dict[str, Cell]]]:
    """Slope of measured against applied shear, less that of real templates of the same galaxies."""
    real = slopes(judged.light[REAL][:n, 1], HALF_LIGHT)
    found = {REAL: (float(np.nanmean(real)), float(np.nanstd(real) / len(real) ** 0.5), len(real))}
    for name in judged.sources:
        if name == REAL:
            continue
        off = slopes(judged.light[name][:n, 1], HALF_LIGHT)
        off = off - real[: len(off)]
        off = off[np.isfinite(off)]
        found[name] = float(off.mean()), float(off.std() / len(off) ** 0.5), len(off)
    yield "shear slope (real), difference", found


BARS = {
    "mean Wasserstein distance": "0.06", "random forest, accuracy": "0.60",
    "small CNN, accuracy": "0.75", "magnitude, median off": "0.01",
    "ln half-light radius, median off": "0.03", "axis ratio, median off": "0.03",
    "angle, median off": "2", "class agrees": "real-.05",
    "nearest training template, ratio": "1+-0.05", "shear slope (real), difference": "0.005",
}  # fmt: skip


def table(
    judged: Judged, training: Rows, names: tuple[str, ...], shears: int
) -> Iterator[tuple[str, dict[str, Cell]]]:
    """Rows: what is measured, and by source the figure, its error and N."""
    yield from wasserstein(judged)
    yield from two_samples(judged)
    yield from asked_for(judged, names)
    yield from agreement(judged)
    yield from memory(judged, training)
    if shears:
        yield from sheared(judged, shears)


def report(
    judged: Judged, training: Rows, names: tuple[str, ...], shears: int
) -> dict[str, dict[str, Cell]]:
    """Print the table, and hand it over."""
    sources = judged.sources
    counts = {name: len(judged.complete(name)) for name in judged.light}
    print(f"measured of {', '.join(f'{name} {n}' for name, n in counts.items())}")
    print(f"{'':36}{'bar':>9}" + "".join(f"{name:>25}" for name in sources))
    rows = {}
    for title, found in table(judged, training, names, shears):
        cells = [
            f"{found[s][0]:.3f} +- {found[s][1]:.3f} ({found[s][2]})" if s in found else "-"
            for s in sources
        ]
        print(
            f"{title:36}{BARS.get(title, ''):>9}" + "".join(f"{c:>25}" for c in cells), flush=True
        )
        rows[title] = found
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument(
        "model", type=Path, help="folder of train.py, network.pt, checkpoint, or a model"
    )
    parser.add_argument("--n", type=int, default=1000, help="galaxies in each half, at most")
    parser.add_argument("--fits", type=int, default=300, help="galaxies that are fitted; 0: none")
    parser.add_argument("--shears", type=int, default=200, help="galaxies sheared; 0: none")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    rows, network = Rows.read(args.work), read_network(args.model)
    judged = judge(rows, network, args.n, args.fits, args.processes)
    report(judged, rows[rows.split == 0], network.condition_names, args.shears)


if __name__ == "__main__":
    main()
