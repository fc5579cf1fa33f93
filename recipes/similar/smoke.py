"""The recipe on a few drawn pictures."""

import argparse
import io
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
N, MERGER = 40, 5


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder")
    folder = parser.parse_args().folder
    rng = np.random.default_rng(1)
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    label = np.where(np.arange(N) % 2, MERGER, 0)
    pictures = []
    for each in label:
        grey = np.exp(-6 * np.hypot(x, y)) + 0.7 * (each == MERGER) * np.exp(
            -6 * np.hypot(x - rng.uniform(0.3, 0.5), y)
        )
        file = io.BytesIO()
        shown = 150 * grey[..., None] + rng.uniform(0, 10, (96, 96, 3))
        Image.fromarray(shown.clip(0, 255).astype(np.uint8)).save(file, format="JPEG")
        pictures.append(file.getvalue())
    with h5py.File(folder / "gz1_small_96.h5", "w") as file:
        file["label"], file["split"] = label, np.arange(N) // 2 % 2
        file["offsets"] = np.cumsum([0, *map(len, pictures)])
        file["jpeg"] = np.frombuffer(b"".join(pictures), np.uint8)
    command = [sys.executable, HERE / "mergers.py", folder, "--examples", "3", "--draws", "2"]
    subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
