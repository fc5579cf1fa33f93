"""
Draw how a model was trained, how it does on the validation rows, and what it gets wrong.

.. code-block:: console

    $ python recipes/report.py galaxyzoo2 DATA WORK/log/version_0/metrics.csv --figure report.png

``--sheet`` draws the rows that are farthest from right, which cannot go into the documentation:
the pictures are not ours.
"""

import argparse
import csv
import sys
from importlib import import_module
from pathlib import Path

import matplotlib as mpl
import numpy as np
from astropy.table import QTable

from astrodlkit import Cutouts, load_model
from astrodlkit.metrics import reliability_curve

mpl.use("agg")
import matplotlib.pyplot as plt

WINDOW = 20  # points of the log, of 25 steps each, that a learning curve is averaged over


def draw_learning(axes: plt.Axes, log: Path) -> None:
    """Training losses against steps, smoothed."""
    with log.open() as file:
        rows = [row for row in csv.DictReader(file) if row["step"]]
    steps = np.array([int(row["step"]) for row in rows])
    for name in sorted(set(rows[0]) - {"step", "epoch"}):
        values = np.array([float(row[name] or "nan") for row in rows])
        if np.isfinite(values).sum() < WINDOW or not np.nanmax(np.abs(values)):
            continue
        mean = np.convolve(values, np.ones(WINDOW) / WINDOW, mode="valid")
        axes.plot(steps[WINDOW - 1 :], mean, label=name.removeprefix("training_").replace("_", " "))
    axes.set(xlabel="step", ylabel="loss, weighted", title="Training")
    axes.legend(fontsize=7)


def draw_confusion(axes: plt.Axes, given: np.ndarray, right: np.ndarray, labels: list[str]) -> None:
    """How often each class was given to each."""
    counts = np.array([[((right == r) & (given == g)).sum() for g in labels] for r in labels])
    axes.imshow(counts / counts.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1)
    for (y, x), n in np.ndenumerate(counts):
        share = n / counts[y].sum()
        axes.text(x, y, n, ha="center", va="center", color="white" if share > 0.5 else "black")
    names = [label.replace("_", " ") for label in labels]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="given", ylabel="labelled", title=f"Classes, N = {counts.sum()}")


def draw_reliability(axes: plt.Axes, probability: np.ndarray, right: np.ndarray) -> None:
    """How often the class is right, against its probability."""
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, 9)))
    curve = reliability_curve(probability, right, bins=edges)
    axes.plot([0, 1], [0, 1], color="0.7")
    error = np.sqrt(np.maximum(curve.accuracy * (1 - curve.accuracy), 0.25 / curve.n) / curve.n)
    axes.errorbar(curve.probability, curve.accuracy, error, fmt="o")
    low = min(curve.probability.min(), (curve.accuracy - error).min()) - 0.05
    axes.set(xlim=(low, 1.02), ylim=(low, 1.02), xlabel="probability", ylabel="share right")
    axes.set_title("Reliability, one view")


def draw_numbers(axes: plt.Axes, given: np.ndarray, right: np.ndarray, title: str) -> None:
    """Predicted against true, where the truth is known."""
    known = np.isfinite(right)
    given, right = given[known], right[known]
    image = axes.hexbin(right, given, gridsize=30, bins="log", cmap="viridis", mincnt=1)
    ends = [min(right.min(), given.min()), max(right.max(), given.max())]
    axes.plot(ends, ends, color="0.5")
    rms = np.sqrt(np.mean((given - right) ** 2))
    axes.set(xlabel="labelled", ylabel="given", title=f"{title}, RMS {rms:.3f}, N = {len(right)}")
    axes.figure.colorbar(image, ax=axes, label="number")


def draw_sheet(
    path: Path, cutouts: Cutouts, result: QTable, right: dict[str, np.ndarray], n: int
) -> None:
    """The rows that are farthest from right."""
    if "class" in right:
        names, known = np.asarray(result["class"]), right["class"] != ""
        off = np.where(known & (names != right["class"]), result["class_probability"], -1)
        texts = [f"{a} {p:.2f}\nlabel {b}" for a, b, p in zip(
            names, right["class"], result["class_probability"], strict=True)]  # fmt: skip
    else:
        off = np.abs(np.asarray(result["t_type"]) - right["t_type"])
        texts = [f"T {a:.1f} ± {e:.1f}\nlabel {b:.0f}" for a, e, b in zip(
            result["t_type"], result["t_type_error"], right["t_type"], strict=True)]  # fmt: skip
    worst = [i for i in np.argsort(-off)[:n] if off[i] > 0]
    figure, axes = plt.subplots(-(-len(worst) // 8), 8, squeeze=False, figsize=(12, 18))
    figure.set_size_inches(12, 1.9 * len(axes))
    for ax in axes.flat:
        ax.axis("off")
    for ax, i in zip(axes.flat, worst, strict=False):
        picture = np.moveaxis(cutouts.data[i], 0, -1) / 255
        ax.imshow(np.sqrt(picture) if picture.shape[-1] == 1 else picture, cmap="gray")
        ax.set_title(texts[i], fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="name of the recipe")
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("log", type=Path, help="metrics.csv of the training")
    parser.add_argument("--model", help="name, or path of a card; by default the recipe's")
    parser.add_argument("--figure", type=Path, required=True, help="PNG file to write")
    parser.add_argument("--sheet", type=Path, help="PNG file of the worst rows")
    parser.add_argument("--rows", type=int, default=40, help="number of rows on the sheet")
    args = parser.parse_args()

    sys.path.insert(0, str(Path(__file__).parent / args.recipe))
    cutouts, right = import_module("validate").judged(args.data)
    classifier = load_model(args.model or args.recipe, device="cpu")
    result = classifier.predict(cutouts, precision="float32")

    numbers = [name for name in right if name != "class"]
    panels = 1 + 2 * ("class" in right) + bool(numbers)
    figure, axes = plt.subplots(1, panels, figsize=(4.6 * panels, 4.2), layout="constrained")
    axes = list(axes)
    draw_learning(axes.pop(0), args.log)
    if "class" in right:
        known = right["class"] != ""
        given, wanted = np.asarray(result["class"])[known], right["class"][known]
        head = next(h for h in classifier.card.output.heads if h.column == "class" and
                    h.kind == "classes")  # fmt: skip
        draw_confusion(axes.pop(0), given, wanted, list(head.labels))
        probability = np.asarray(result["class_probability"])[known]
        draw_reliability(axes.pop(0), probability, given == wanted)
    if "t_type" in right:
        draw_numbers(axes.pop(0), np.asarray(result["t_type"]), right["t_type"], "Hubble type")
    elif numbers:
        given = np.concatenate([np.asarray(result[name]) for name in numbers])
        wanted = np.concatenate([right[name] for name in numbers])
        draw_numbers(axes.pop(0), given, wanted, "Votes")
    figure.savefig(args.figure, dpi=90)
    if args.sheet is not None:
        draw_sheet(args.sheet, cutouts, result, right, args.rows)


if __name__ == "__main__":
    main()
