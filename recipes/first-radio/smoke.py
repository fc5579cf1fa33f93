"""The recipe on a few drawn sources: train, interrupt, resume, export, validate."""

import argparse
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from astrodlkit import describe_model

HERE = Path(__file__).parent
N = 64


def draw(rng: np.random.Generator, label: int) -> np.ndarray:
    """A point, or two lobes, on black; shape (128, 128, 1), uint8."""
    y, x = np.mgrid[:128, :128]
    angle, length = rng.uniform(0, 2 * np.pi), 4.0 * label
    picture = np.zeros((128, 128))
    for side in (-1, 1):
        at = 63.5 + side * length * np.array([np.cos(angle), np.sin(angle)])
        picture += np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 8)
    return (255 * picture / picture.max()).astype(np.uint8)[..., None]


def run(script: str, *arguments: object) -> None:
    """Run a script of the recipe."""
    command = [sys.executable, HERE / script, *map(str, arguments)]
    subprocess.run(command, check=True)  # noqa: S603


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    data = parser.parse_args().folder
    work, model = data / "work", data / "model"
    rng = np.random.default_rng(1)
    label = np.arange(N) % 4
    with h5py.File(data / "first_radio_128.h5", "w") as file:
        file["images"] = np.stack([draw(rng, k) for k in label])
        file["label"], file["split"] = label, np.arange(N) // 4 % 2
    small = ["--side", 48, "--batch-size", 8, "--steps", 6]
    for stop in (3, 6):
        run("train.py", data, work, *small, "--stop-at", stop)
    run("export.py", data, work / "network.pt", model, "--side", 64)
    run("validate.py", data, "--model", model)
    run("calibrate.py", data, "--model", model, "--repeats", 2)
    card = describe_model(model)
    if not {"class", "class_probability", "class_probability_error"} <= set(card.output.columns):
        raise SystemExit(f"columns are missing: {card.output.columns}")
    print(card)


if __name__ == "__main__":
    main()
