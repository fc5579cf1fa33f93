"""The recipe in boxes of 64^3: simulate, go on, check and read; train for two steps, validate."""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from boxes import read_boxes

HERE = Path(__file__).parent


def run(script: str, *arguments: object) -> None:
    """Run a script of the recipe."""
    command = [sys.executable, HERE / script, *map(str, arguments)]
    subprocess.run(command, check=True)  # noqa: S603


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    folder = parser.parse_args().folder
    small = [folder, "--n", 2, "--pixels", 128]
    first = folder / "500mpc/train/box-0000.h5"
    run("truth.py", *small, "--only", "0:1")
    before = first.stat().st_mtime_ns
    # As an interruption leaves it.
    first.with_name("box-0001.part").write_bytes(b"half a file")
    run("truth.py", *small)
    if first.stat().st_mtime_ns != before:
        raise SystemExit("a box that was there was simulated again")
    run("check.py", folder)
    boxes = list(read_boxes(first.parent))
    maps = boxes[1].maps(-1)
    if len(boxes) != 2 or maps.shape != (48, 64, 64) or abs(maps.mean() - 1) > 1e-3:
        raise SystemExit(f"{len(boxes)} boxes, maps {maps.shape} with mean {maps.mean()}")
    if not np.isfinite(boxes[0].power).all():
        raise SystemExit("the spectra are not finite")

    run("truth.py", *small, "--set", "matched", "--only", "0:1")
    for script in ("train.py", "wgan.py"):
        # Every tenth box is kept apart, which leaves the second one.
        work = folder / script
        run(script, folder, work, "--steps", 1, "--batch-size", 2)
    few = "--boxes", 1, "--maps", 8, "--nearest", 1
    models = folder / "train.py", "--wgan", folder / "wgan.py"
    run("validate.py", folder, *models, "--set", "train", "matched", *few, "--figures", folder)
    drawn = {path.name for path in (folder / "500mpc-matched").glob("*.png")}
    if drawn != {"maps.png", "power.png", "histogram.png", "peaks.png"}:
        raise SystemExit(f"figures drawn: {sorted(drawn)}")


if __name__ == "__main__":
    main()
