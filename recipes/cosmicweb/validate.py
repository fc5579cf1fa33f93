"""
How good is an emulator? Its maps against simulated ones, beside those of yardsticks.

.. code-block:: console

    $ python recipes/cosmicweb/validate.py TRUTH MODEL --scale 500mpc --wgan FOLDER

Emulated maps have the conditions and the number of the simulated ones. ``measures.py`` says what
is measured; errors are the scatter of 300 bootstraps over cosmologies. In the column real/real the
two halves of the simulated maps stand against each other: where there are boxes of several seeds
for a cosmology every other seed, else the slabs in the first and in the second half of the box,
which have the box's longest waves in common. Half the maps scatter more than all of them, and so
does their ratio. "Web" is the emulator without its U-Net, and "Gaussian field" the field that moves
the web's matter, mapped to densities itself: much like a lognormal field.

The test has whole boxes; ``matched`` are boxes of half the side at the same cosmologies, where
the yardstick can be compared. With ``--wgan`` all maps of half boxes are smoothed as those it
learned from.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path

import figures
import numpy as np
import torch
from boxes import THICKNESS, Box, read_boxes
from measures import Statistics, joined, measure, rows, stacked, thresholds, with_error
from nearest import correlations, nearest
from prior import WEBS, conditions
from train import kept_apart, training_boxes
from wgan import Generator, read_generator, smoothed

from astrodlkit import load_model
from astrodlkit.networks import DensityMapNetwork

SEED = 60
LEARNED_FROM = ("train", "whole", "fixed")
REAL, EMULATOR, WEB, FIELD, WGAN = "real/real", "emulator", "web", "Gaussian field", "WGAN"
# Of each snapshot, for pairs of maps and for pictures.
SAMPLES = 4
# Maps whose nearest one is looked for.
N_NEAREST = 16


@dataclass
class Measured:
    """Statistics of each source by snapshot, (snapshots, ...), and some of its maps."""

    cosmologies: np.ndarray
    conditions: np.ndarray
    pixel: float
    halves: list[Statistics]
    sources: dict[str, Statistics]
    samples: dict[str, np.ndarray] = field(repr=False)


def read_network(model: str, box: Box) -> DensityMapNetwork:
    """A folder of train.py, a state dict or a checkpoint, or what `load_model` takes."""
    path = Path(model)
    if (path / "network.pt").exists():
        path = path / "network.pt"
    if path.suffix not in (".pt", ".ckpt"):
        return load_model(model).module
    state = torch.load(path, weights_only=True, map_location="cpu")
    if path.suffix == ".ckpt":
        # The critic's weights are there too.
        own = (name for name in state["state_dict"] if name.startswith("network."))
        state = {name.removeprefix("network."): state["state_dict"][name] for name in own}
    widths = [
        len(w) for name, w in state.items() if re.fullmatch(r".*\.down\.\d\.first\.bias", name)
    ]
    # Four pixels of the web, two fields, two components of the shear and the noise.
    n_noise = state["network.enter.weight"].shape[1] // 4 - 5
    webs = WEBS[box.settings["scale"]]
    network = DensityMapNetwork(box.pixel, widths=widths, n_noise=n_noise, **webs)
    network.load_state_dict(state)
    return network.eval()


def simulated(
    boxes: list[Box], limit: int | None
) -> Iterator[tuple[int, torch.Tensor, list[np.ndarray]]]:
    """Cosmology, conditions and maps in two halves of each snapshot; at most ``limit``."""

    def cosmology(box: Box) -> tuple[float, float]:
        return box.settings["Om0"], box.settings["sigma8"]

    for i, (_, group) in enumerate(groupby(sorted(boxes, key=cosmology), cosmology)):
        seeds = list(group)
        for snapshot, known in enumerate(conditions(seeds[0])):
            maps = [box.maps(snapshot) for box in seeds]
            if len(seeds) > 1:
                halves = [np.concatenate(maps[first::2]) for first in range(2)]
            else:
                side = maps[0].shape[-1]
                halves = np.split(maps[0].reshape(3, -1, side, side), 2, axis=1)
                halves = [half.reshape(-1, side, side) for half in halves]
            if limit is not None:
                most = limit // 2
                halves = [
                    h[np.linspace(0, len(h), min(most, len(h)), endpoint=False, dtype=int)]
                    for h in halves
                ]
            yield i, torch.from_numpy(known).float(), halves


def emulated(
    network: DensityMapNetwork, n: int, known: torch.Tensor, side: int, seed: int
) -> dict[str, np.ndarray]:
    """Maps of the emulator, and of the web and the field they come from, of the same noise."""
    random = torch.Generator().manual_seed(seed)
    made = {EMULATOR: [], WEB: [], FIELD: []}
    for first in range(0, n, 8):
        size = min(8, n - first)
        noise = torch.randn(size, network.n_channels, side, side, generator=random)
        alike = known.expand(size, 3)
        with torch.inference_mode():
            start = network.gaussian(noise[:, :2], alike)
            web = network.web(start, alike)
            shaped = network.refined(web, start, noise[:, 2:], alike)
            for name, values in ((EMULATOR, shaped), (WEB, web), (FIELD, start[:, 0])):
                made[name].append(network.density(values, alike).numpy())
    return {name: np.concatenate(maps) for name, maps in made.items()}


def compare(
    boxes: list[Box],
    network: DensityMapNetwork,
    generator: Generator | None = None,
    limit: int | None = None,
) -> Measured:
    """Measure simulated maps and as many from each source, snapshot by snapshot."""
    pixel, side = boxes[0].pixel, boxes[0].settings["side"]
    cosmologies, knowns = [], []
    statistics: dict[str, list] = {}
    samples: dict[str, list[np.ndarray]] = {}
    halves_measured = []
    for i, (cosmology, known, maps) in enumerate(simulated(boxes, limit)):
        n, halves = sum(map(len, maps)), maps
        made = emulated(network, n, known, side, seed=1_000_003 * SEED + i)
        if generator is not None:
            halves = [smoothed(half) for half in maps]
            made = {name: smoothed(each) for name, each in made.items()}
            made[WGAN] = generator.make(n, known, seed=1_000_003 * SEED + i)
        levels = thresholds(np.concatenate(halves))
        apart = {REAL: halves} | {name: np.array_split(m, 2) for name, m in made.items()}
        for name, parts in apart.items():
            measured = [measure(part, pixel, levels) for part in parts]
            if name == REAL:
                halves_measured.append(measured)
            statistics.setdefault(name, []).append(joined(measured))
            every = max(1, len(parts[0]) // SAMPLES)
            samples.setdefault(name, []).append(parts[0][::every][:SAMPLES])
        cosmologies.append(cosmology)
        knowns.append(known.numpy())
    return Measured(
        np.array(cosmologies),
        np.array(knowns),
        pixel,
        [stacked(half) for half in zip(*halves_measured, strict=True)],
        {name: stacked(each) for name, each in statistics.items()},
        {name: np.stack(each) for name, each in samples.items()},
    )


def table(measured: Measured, scale: str) -> Iterator[tuple[str, float, dict]]:
    """Rows: name, bar, and by source the figure and its error."""
    true = measured.sources[REAL]
    for row in rows(measured.cosmologies, scale):
        found = {}
        for name, made in measured.sources.items():
            pair = measured.halves if name == REAL else (made, true)
            found[name] = with_error(partial(row.off, *pair), measured.cosmologies)
        yield row.name, row.bar, found


def cross_power(measured: Measured) -> dict[str, tuple[float, float]]:
    """RMS of the correlations between maps in units of chance, less 1."""
    found = {}
    n_cosmologies = len(np.unique(measured.cosmologies))
    for name, maps in measured.samples.items():
        first, second = maps[:, 0::2], maps[:, 1::2]
        if name == REAL:
            # Slabs of a box are neighbours: real ones are paired with those of the next cosmology.
            second = np.roll(second, len(second) // n_cosmologies, axis=0)
        square = (correlations(first, second, measured.pixel) ** 2).mean((1, 2))
        found[name] = with_error(partial(_root_off, square), measured.cosmologies)
    if n_cosmologies == 1:
        found[REAL] = float("nan"), float("nan")
    return found


def _root_off(square: np.ndarray, weights: np.ndarray) -> float:
    return float(np.sqrt(square @ weights / weights.sum()) - 1)


def near(measured: Measured, boxes: list[Box]) -> dict[str, tuple[float, float]]:
    """Mean correlation with the nearest training map, in units of chance."""
    found = {}
    for name, maps in measured.samples.items():
        picked = maps.reshape(-1, *maps.shape[2:])
        picked = picked[np.linspace(0, len(picked) - 1, min(N_NEAREST, len(picked)), dtype=int)]
        each = nearest(picked, boxes, measured.pixel).mean(1)
        found[name] = float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))
    return found


def show(name: str, bar: str, found: dict[str, tuple[float, float]], percent: bool = True) -> None:
    """A line of the table; what one cosmology cannot tell is left out."""
    unit, digits = (100, 1) if percent else (1, 2)
    cells = [
        " +- ".join(f"{unit * x:.{digits}f}" for x in pair if not np.isnan(x)) or "-"
        for pair in found.values()
    ]
    print(f"{name:36}{bar:>6}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


def report(measured: Measured, scale: str, title: str, boxes: list[Box]) -> None:
    """Print the table; with training boxes to look for the nearest map in."""
    true = measured.sources[REAL]
    n = int(true["n"].sum())
    names = list(measured.sources)
    print(
        f"\n{scale} {title}: {len(np.unique(measured.cosmologies))} cosmologies,"
        f" {len(true['n'])} snapshots, {n} maps of {measured.samples[REAL].shape[-1]} pixels"
        " across, and as many emulated"
    )
    print(
        f"{'off by, per cent; matrix: times 100':36}{'bar':>6}"
        + "".join(f"{name:>18}" for name in names)
    )
    for name, bar, found in table(measured, scale):
        show(name, f"{100 * bar:g}", found)
    show("cross-power of maps, RMS less chance", "0", cross_power(measured))
    if boxes:
        name = f"nearest of {len(boxes)} training boxes*"
        show(name, "real", near(measured, boxes), percent=False)
        print("* mean correlation of waves to half Nyquist, times sqrt(modes); real: unseen maps")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("truth", type=Path, help="folder that truth.py was given")
    parser.add_argument("model", help="name or folder of a model, folder of train.py, .pt or .ckpt")
    parser.add_argument("--scale", choices=THICKNESS, default="500mpc")
    parser.add_argument("--set", nargs="+", choices=("test", "matched", *LEARNED_FROM),
                        default=["test", "matched"],
                        help="train, whole, fixed: their boxes that are kept apart")  # fmt: skip
    parser.add_argument("--wgan", type=Path, help="folder of wgan.py")
    parser.add_argument("--boxes", type=int, help="at most as many of each set")
    parser.add_argument("--maps", type=int, help="at most as many of each snapshot")
    parser.add_argument(
        "--nearest",
        type=int,
        help="training boxes to look for the nearest map in; by default all, for matched",
    )
    parser.add_argument("--figures", type=Path, help="folder to draw figures into")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    folder = args.truth / args.scale
    training, _ = training_boxes(folder)
    network = read_network(args.model, training[0])
    for name in args.set:
        known = name in LEARNED_FROM
        boxes = kept_apart(folder, name) if known else list(read_boxes(folder / name))
        boxes = boxes[: args.boxes]
        half = name in ("matched", "train")
        generator = None
        if half and args.wgan is not None:
            generator = read_generator(args.wgan, boxes[0].settings["side"])
        measured = compare(boxes, network, generator, args.maps)
        title = f"{name}, smoothed" if generator else name
        searched = training[: args.nearest] if name == "matched" or args.nearest else []
        report(measured, args.scale, title, searched)
        if args.figures is not None:
            figures.draw(measured, args.figures / f"{args.scale}-{name}", title)


if __name__ == "__main__":
    main()
