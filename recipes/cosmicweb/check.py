"""How good are the boxes? Spectra against halofit, densities, half boxes against whole ones."""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from boxes import THICKNESS, Box, read_boxes

# In units of the Nyquist frequency of the cells.
EDGES = np.array([0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0])
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)


def binned(box: Box, power: np.ndarray) -> np.ndarray:
    """``power`` in the bins, a mean over modes, (snapshots, bins); NaN where there is no shell."""
    place = np.digitize(box.k * box.pixel / np.pi, EDGES) - 1
    inside = [box.modes * (place == i) for i in range(len(EDGES) - 1)]
    with np.errstate(invalid="ignore"):
        return np.stack([power @ modes / modes.sum() for modes in inside], 1)


def print_spectra(boxes: list[Box]) -> None:
    """Mean ratio to halofit and its scatter from box to box, in bins of wave number."""
    ratio = np.stack([binned(box, box.power) / binned(box, box.halofit) for box in boxes])
    redshift = np.stack([box.redshifts for box in boxes])
    nyquist = np.pi / boxes[0].pixel
    print(f"P(k) / halofit, {len(boxes)} boxes; Nyquist {nyquist:.3f} / Mpc")
    print(f"{'k / Nyquist':>12} {'k (1/Mpc)':>14}   z = 0: mean  scatter   0 < z < 1   1 < z < 2")
    for i, (low, high) in enumerate(pairwise(EDGES)):
        groups = (redshift == 0, (redshift > 0) & (redshift <= 1), redshift > 1)
        if np.isnan(ratio[..., i]).all():
            continue
        today, middle, early = (ratio[..., i][group] for group in groups)
        print(
            f"{low:5.2f} - {high:4.2f} {low * nyquist:6.3f} - {high * nyquist:5.3f}"
            f" {today.mean():14.3f} {today.std():8.3f} {middle.mean():11.3f} {early.mean():11.3f}"
        )
    off = np.abs(ratio.mean((0, 1)) - 1)
    for limit in (0.05, 0.1):
        # The first two bins hold too few waves to judge.
        reach = EDGES[2 + np.argmin([*(off[2:] < limit), False])]
        good = (
            f"to {reach:.2f} Nyquist, {reach * nyquist:.2f} / Mpc"
            if reach > EDGES[2]
            else "nowhere"
        )
        print(f"mean over all redshifts within {limit:.0%} of halofit {good}")


def print_densities(boxes: list[Box]) -> None:
    """Quantiles of the maps' pixels at z = 0."""
    thickness = THICKNESS[boxes[0].settings["scale"]]
    found = np.stack([np.quantile(box.maps(-1), QUANTILES) for box in boxes])
    empty = np.mean([(box.maps(-1) <= 0).mean() for box in boxes])
    print(f"1 + delta at z = 0 in slabs of {thickness * boxes[0].pixel:.3f} Mpc; empty {empty:.1e}")
    print("quantile        " + "".join(f"{q:>9g}" for q in QUANTILES))
    for name, value in (("mean of boxes", found.mean(0)), ("scatter", found.std(0))):
        print(f"{name:16}" + "".join(f"{x:9.3f}" for x in value))


def print_halves(whole: list[Box], halves: list[Box]) -> None:
    """Half boxes against the whole ones of the same cosmology and redshifts."""
    spectra, densities = [], []
    for box in whole:
        alike = [half for half in halves if np.array_equal(half.redshifts, box.redshifts)]
        if alike:
            mean = np.mean([binned(half, half.power) for half in alike], 0)
            spectra.append(mean / binned(box, box.power))
            quantiles = [np.quantile(half.maps(-1), QUANTILES) for half in alike]
            densities.append(np.mean(quantiles, 0) / np.quantile(box.maps(-1), QUANTILES))
    if not spectra:
        return
    ratio = np.stack(spectra)
    print(f"\nP(k) of half boxes / whole boxes of the same cosmology, {len(ratio)} cosmologies")
    print(f"{'k / Nyquist':>12}   all z    z = 0    its standard error")
    for i, (low, high) in enumerate(pairwise(EDGES)):
        if not np.isnan(ratio[..., i]).all():
            today = ratio[:, -1, i]
            print(
                f"{low:5.2f} - {high:4.2f} {ratio[..., i].mean():7.3f} {today.mean():8.3f}"
                f" {today.std() / np.sqrt(len(today)):8.3f}"
            )
    print("quantile        " + "".join(f"{q:>9g}" for q in QUANTILES))
    print("ratio at z = 0  " + "".join(f"{x:9.3f}" for x in np.mean(densities, 0)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what truth.py was given")
    parser.add_argument("--scale", choices=THICKNESS, default="500mpc")
    args = parser.parse_args()
    sets = {
        path.name: list(read_boxes(path)) for path in sorted((args.folder / args.scale).iterdir())
    }
    for name, boxes in sets.items():
        refused = len(list((args.folder / args.scale / name).glob("box-*.h5"))) - len(boxes)
        print(f"\n{args.scale} {name}: {len(boxes)} boxes, {refused} refused")
        if boxes:
            print_spectra(boxes)
            print_densities(boxes)
    print_halves(sets.get("test", []), sets.get("matched", []))


if __name__ == "__main__":
    main()
