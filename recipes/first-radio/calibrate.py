"""
How far the probabilities can be trusted, and whether another scheme would do better.

The schemes are fitted to four fifths of the validation rows and judged on the rest. A classifier
whose probabilities are right has a calibration error too, in so few rows: it is drawn beside.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import isotonic_regression, minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sources import CLASSES, RadioSources
from train import OUTPUT
from validate import as_cutouts

from astrodlkit import load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.engine import run_batches
from astrodlkit.metrics import expected_calibration_error
from astrodlkit.pretrained import Figure
from astrodlkit.training import calibrate

NAME = "expected calibration error"
FOLDS, DRAWS, MASSES = 5, 500, 10
LEAST = 0.01  # a class that was never right in so few rows is not impossible
# From probabilities and labels of some rows, and probabilities of others, to better ones of these.
Scheme = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def validation_views(classifier: CutoutClassifier, sources: RadioSources) -> np.ndarray:
    """The network's probabilities of each of the eight views, shape (8, n, 4)."""
    images, _ = classifier.card.input.prepare(as_cutouts(sources))
    seen = [np.rot90(images[..., ::way], turn, (2, 3)) for way in (1, -1) for turn in range(4)]
    answers = [run_batches(classifier.module, np.ascontiguousarray(view), batch_size=256,
                           device=classifier.device)["class"] for view in seen]  # fmt: skip
    return np.stack(answers).astype(np.float64)


def as_they_are(_: np.ndarray, __: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The network's."""
    return others


def temperature(values: np.ndarray, truth: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Powers of the probabilities: what the package fits."""
    calibration = calibrate(OUTPUT, {"class": values}, {"class": truth}).heads[0].calibration
    return calibration.soften(others.reshape(-1, len(CLASSES))).reshape(others.shape)


def temperature_and_bias(values: np.ndarray, truth: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Powers of the probabilities times a factor for each class (Guo et al. 2017)."""

    def logits(numbers: np.ndarray, at: np.ndarray) -> np.ndarray:
        return np.log(at.clip(1e-12)) * np.exp(numbers[0]) + np.append(numbers[1:], 0)

    def loss(numbers: np.ndarray) -> float:
        return -log_softmax(logits(numbers, values), axis=1)[np.arange(len(truth)), truth].mean()

    return softmax(logits(minimize(loss, np.zeros(len(CLASSES))).x, others), axis=-1)


def mixture(values: np.ndarray, truth: np.ndarray, others: np.ndarray) -> np.ndarray:
    """A part from the frequencies of the classes; less than none undoes smoothed labels."""
    frequencies = np.bincount(truth, minlength=len(CLASSES)) / len(truth)

    def mixed(part: float, at: np.ndarray) -> np.ndarray:
        return _shares((1 - part) * at + part * frequencies)

    found = minimize_scalar(lambda part: losses(mixed(part, values), truth).mean(),
                            bounds=(-0.3, 0.9), method="bounded")  # fmt: skip
    return mixed(found.x, others)


def isotonic(values: np.ndarray, truth: np.ndarray, others: np.ndarray) -> np.ndarray:
    """A rising step function for each class against the rest."""
    found = []
    for i in range(len(CLASSES)):
        at, place, n = np.unique(values[:, i], return_inverse=True, return_counts=True)
        right = np.bincount(place, weights=truth == i) / n
        found.append(np.interp(others[..., i], at, isotonic_regression(right, weights=n).x))
    return _shares(np.stack(found, axis=-1))


def held_out(
    scheme: Scheme, values: np.ndarray, others: np.ndarray, truth: np.ndarray, seed: int
) -> np.ndarray:
    """Probabilities by a scheme that was fitted to other rows, shape (n, 4)."""
    order = np.random.default_rng(seed).permutation(len(truth))
    found = np.zeros((len(truth), len(CLASSES)))
    for test in (order[i::FOLDS] for i in range(FOLDS)):
        train = np.setdiff1d(order, test)
        better = scheme(values[train], truth[train], others[..., test, :])
        found[test] = better if better.ndim == 2 else better.mean(axis=0)
    return found


def losses(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Minus the log likelihood of each label."""
    return -np.log(probabilities[np.arange(len(truth)), truth].clip(1e-12))


def calibration_error(probabilities: np.ndarray, truth: np.ndarray, *, masses: int = 0) -> float:
    """In 15 bins of the same width, or in so many with as many rows each."""
    best = probabilities.max(axis=1).clip(0, 1)
    parts = np.quantile(best, np.linspace(0, 1, masses + 1)[1:-1]) if masses else []
    bins = np.unique([0, *parts, 1]) if masses else 15
    return expected_calibration_error(best, probabilities.argmax(axis=1) == truth, bins=bins)


def by_chance(held: np.ndarray, n: int) -> np.ndarray:
    """Calibration errors of n rows with labels drawn from the probabilities, shape (DRAWS,)."""
    rng = np.random.default_rng(1)
    found = []
    for i in range(DRAWS):
        probabilities = np.resize(held[i % len(held)], (n, len(CLASSES)))
        truth = (probabilities.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
        found.append(calibration_error(probabilities, truth))
    return np.array(found)


def compare(
    title: str, trials: dict[str, tuple[Scheme, np.ndarray, np.ndarray]],
    truth: np.ndarray, repeats: int,
) -> tuple[np.ndarray, Figure]:  # fmt: skip
    """Print how each scheme does beside the first, which the model uses; what the first gave."""
    n = len(truth)
    drawn = np.random.default_rng(0).integers(n, size=(DRAWS, n))
    print(f"{title}, N = {n}: accuracy; calibration error (scatter over {repeats} foldings); "
          f"less the first's; if calibrated, mean and 5-95 %; in {MASSES} bins of as many rows; "
          "minus log likelihood, less the first's")  # fmt: skip
    first = None
    for name, (scheme, values, others) in trials.items():
        held = np.array([held_out(scheme, values, others, truth, i) for i in range(repeats)])
        found = [calibration_error(each, truth) for each in held]
        equal = np.mean([calibration_error(each, truth, masses=MASSES) for each in held])
        # Rows and foldings are drawn together.
        again = np.array([calibration_error(held[i % repeats][rows], truth[rows])
                          for i, rows in enumerate(drawn)])  # fmt: skip
        loss = np.mean([losses(each, truth) for each in held], axis=0)
        first = first or (held, np.mean(found), again, loss)
        chance = by_chance(held, n)
        low, high = np.quantile(chance, [0.05, 0.95])
        print(f"  {name:34s} {(held.argmax(axis=2) == truth).mean():.3f}; "
              f"{np.mean(found):.3f} +- {again.std():.3f} ({np.std(found):.3f}); "
              f"{np.mean(found) - first[1]:+.3f} +- {(again - first[2]).std():.3f}; "
              f"{chance.mean():.3f}, {low:.3f}-{high:.3f}; {equal:.3f}; "
              f"{loss.mean():.3f}, {(loss - first[3]).mean():+.3f} +- "
              f"{(loss - first[3]).std() / np.sqrt(n):.3f}")  # fmt: skip
    held, value, again, _ = first
    note = f"{title}; {FOLDS}-fold cross-validation within validation, {repeats} times"
    error = round(float(again.std()), 4)
    return held, Figure(NAME, round(float(value), 4), error, n, "validation", note)


def _shares(probabilities: np.ndarray) -> np.ndarray:
    probabilities = probabilities.clip(LEAST)
    return probabilities / probabilities.sum(axis=-1, keepdims=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--model", default="first-radio", help="name, or path of a card")
    parser.add_argument("--repeats", type=int, default=20, help="number of foldings")
    parser.add_argument("--card", type=Path, help="JSON file to write, with the calibration error")
    args = parser.parse_args()
    sources = RadioSources.read(args.data)
    sources = sources[sources.split == 1]
    truth = sources.label
    classifier = load_model(args.model, device="cpu")
    views = validation_views(classifier, sources)
    one, mean = views[0], views.mean(axis=0)
    fitted = [calibrate(OUTPUT, {"class": values}, {"class": truth}) for values in (one, mean)]
    print("temperature of one view, of the mean over eight:",
          *(output.heads[0].calibration.temperature for output in fitted))  # fmt: skip

    others = {
        "temperature and bias": temperature_and_bias,
        "mixed with the frequencies": mixture,
        "isotonic": isotonic,
    }
    used, of_one = compare(
        "one view",
        {"temperature (used)": (temperature, one, one), "none": (as_they_are, one, one)}
        | {name: (scheme, one, one) for name, scheme in others.items()},
        truth,
        args.repeats,
    )
    _, of_mean = compare(
        "eight views",
        {
            "temperature of one view (used)": (temperature, one, mean),
            "none": (as_they_are, mean, mean),
            "temperature of the mean": (temperature, mean, mean),
            "temperature of one view, on each": (temperature, one, views),
        }
        | {name: (scheme, mean, mean) for name, scheme in others.items()},
        truth,
        args.repeats,
    )
    print("one view, if calibrated, with N rows:")
    for n in (200, 500, 1000, 1500, 2000):
        print(f"  {n:4d}: {by_chance(used, n).mean():.3f}")
    if args.card is not None:
        kept = [each for each in classifier.card.figures if each.name != NAME]
        card = replace(classifier.card, figures=(*kept, of_mean, of_one))
        args.card.write_text(card.to_json())


if __name__ == "__main__":
    main()
