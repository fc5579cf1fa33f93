"""The recipe on a few drawn galaxies: train, interrupt, resume, export, validate."""

import argparse
import io
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from labels import ATTRIBUTES
from PIL import Image

from astrodlkit import describe_model

HERE = Path(__file__).parent
N = 64


def draw(rng: np.random.Generator) -> np.ndarray:
    """Pictures of exponential discs with noise, shape (88, 88, 3), uint8."""
    y, x = np.mgrid[:88, :88] - 43.5
    angle, ratio = rng.uniform(0, np.pi), rng.uniform(0.3, 1)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    disc = np.exp(-np.hypot(u, v / ratio) / rng.uniform(5, 15))
    noise = rng.normal(0.08, 0.03, (88, 88, 3))
    return np.clip(255 * (disc[..., None] * rng.uniform(0.6, 0.9, 3) + noise), 0, 255)


def write_set(folder: Path, rng: np.random.Generator) -> None:
    """A file of the same form as the labelled set."""
    packed = []
    for _ in range(N):
        buffer = io.BytesIO()
        Image.fromarray(draw(rng).astype(np.uint8)).save(buffer, "jpeg", quality=95)
        packed.append(np.frombuffer(buffer.getvalue(), dtype=np.uint8))
    attributes = rng.uniform(size=(N, 1 + len(ATTRIBUTES), 3)).astype(np.float32)
    attributes[::7, 3] = -1
    with h5py.File(folder / "efigi_88.h5", "w") as file:
        file["jpeg"], file["offsets"] = np.concatenate(packed), np.cumsum([0, *map(len, packed)])
        file["split"], file["T"] = np.arange(N) % 2, rng.integers(-6, 12, N)
        file["attributes"] = attributes.reshape(N, -1)


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
    write_set(data, np.random.default_rng(1))
    small = ["--side", 48, "--batch-size", 8, "--steps", 6]
    for stop in (3, 6):
        run("train.py", data, work, *small, "--stop-at", stop)
    run("export.py", data, work / "network.pt", model, "--side", 64)
    run("validate.py", data, "--model", model)
    run("calibrate.py", data, "--model", model, "--card", work / "card.json")
    card = describe_model(model)
    if not {"t_type", "t_type_error", *ATTRIBUTES} <= set(card.output.columns):
        raise SystemExit(f"columns are missing: {card.output.columns}")
    print(card)


if __name__ == "__main__":
    main()
