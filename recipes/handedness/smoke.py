"""The recipe on a few drawn spirals."""

import argparse
import io
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
N = 60


def write_spirals(path: Path) -> None:
    """A file of the form of the labelled set."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    label = 1 + np.arange(N) % 2
    pictures = []
    for each in label:
        sense = 1 if each == 1 else -1
        phase = 2 * np.arctan2(y, x) + sense * 8 * np.hypot(x, y) + rng.uniform(0, 2 * np.pi)
        light = np.exp(-3 * np.hypot(x, y)) * (1 + np.cos(phase))
        grey = 120 * light[..., None] + rng.uniform(0, 10, (96, 96, 3))
        file = io.BytesIO()
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(file, format="JPEG")
        pictures.append(file.getvalue())
    with h5py.File(path, "w") as file:
        file["label"], file["split"] = label, np.arange(N) % 3 == 0
        file["offsets"] = np.cumsum([0, *map(len, pictures)])
        file["jpeg"] = np.frombuffer(b"".join(pictures), np.uint8)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder")
    folder = parser.parse_args().folder
    write_spirals(folder / "gz1_small_96.h5")
    results = folder / "results.jsonl"
    measure = [HERE / "curve.py", folder, results, "--labels", "30", "--draws", "1"]
    measure += ["--side", "32", "--shown", "96"]
    for command in (measure, measure, [HERE / "plot.py", results, folder / "curve.png"]):
        subprocess.run([sys.executable, *command], check=True)  # noqa: S603
    # The second call found all of the first one's trainings.
    n_lines = len(results.read_text().splitlines())
    if n_lines != 3 or not (folder / "curve.png").exists():
        raise SystemExit(f"3 trainings and a figure were expected, got {n_lines} and none")


if __name__ == "__main__":
    main()
