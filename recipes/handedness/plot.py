"""Draw what curve.py measured."""

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")
from matplotlib import pyplot as plt

STYLES = {
    "full": ("o-", "galaxyzoo2, everything trained"),
    "scratch": ("s--", "the same network from scratch"),
    "frozen": ("^:", "galaxyzoo2, frozen"),
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="what curve.py wrote")
    parser.add_argument("figure", type=Path, help="PNG to write")
    args = parser.parse_args()

    lines = [json.loads(line) for line in args.results.read_text().splitlines()]
    figure, axes = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
    for shift, (method, (style, label)) in zip((1, 1.04, 0.96), STYLES.items(), strict=True):
        numbers = sorted({line["n"] for line in lines if line["method"] == method})
        means, errors = [], []
        for n in numbers:
            runs = [line for line in lines if line["method"] == method and line["n"] == n]
            values = [run["accuracy"] for run in runs]
            means.append(np.mean(values))
            # The draws are judged by the same galaxies: more of them do not make that error less.
            errors.append(np.hypot(np.std(values) / len(runs) ** 0.5, runs[0]["error"]))
            print(f"{method:8s} {n:4d} labels: {means[-1]:.3f} +- {errors[-1]:.3f} ({len(runs)})")
        axes.errorbar(shift * np.array(numbers), means, errors, fmt=style, capsize=3, label=label)
    axes.axhline(0.5, color="0.6", linewidth=0.8)
    n = lines[0]["n_validation"]
    axes.set(
        xscale="log",
        ylim=(0.4, 1),
        xlabel="labelled spirals, each also learned mirrored",
        ylabel=f"accuracy on {n} other spirals",
    )
    ticks = sorted({line["n"] for line in lines})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(args.figure, dpi=150)


if __name__ == "__main__":
    main()
