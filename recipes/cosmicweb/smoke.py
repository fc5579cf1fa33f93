"""The recipe in boxes of 64^3: simulate, go on, check, read; train, alone and by two; validate."""

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
    small = [folder, "--n", 3, "--pixels", 128]
    # Box 0 would be kept apart from the training.
    first = folder / "500mpc/train/box-0001.h5"
    run("truth.py", *small, "--only", "1:2")
    before = first.stat().st_mtime_ns
    # As an interruption leaves it.
    first.with_name("box-0002.part").write_bytes(b"half a file")
    run("truth.py", *small, "--only", "1:3")
    if first.stat().st_mtime_ns != before:
        raise SystemExit("a box that was there was simulated again")
    run("check.py", folder)
    boxes = list(read_boxes(first.parent))
    maps = boxes[1].maps(-1)
    if len(boxes) != 2 or maps.shape != (48, 64, 64) or abs(maps.mean() - 1) > 1e-3:
        raise SystemExit(f"{len(boxes)} boxes, maps {maps.shape} with mean {maps.mean()}")
    if not np.isfinite(boxes[0].power).all():
        raise SystemExit("the spectra are not finite")

    # Kept apart too, and again of the cosmology of box 1: so few boxes say nothing of others.
    run("truth.py", *small, "--only", "10:11")
    for script in ("train.py", "wgan.py"):
        run(script, folder, folder / script, "--steps", 1, "--batch-size", 2)
    # One more, by two processes.
    made = folder / "train.py/network.pt"
    before = made.stat().st_mtime_ns
    two = "--devices", 2, "--strategy", "ddp", "--accelerator", "cpu"
    run("train.py", folder, folder / "train.py", "--steps", 2, "--batch-size", 2, *two)
    if made.stat().st_mtime_ns == before:
        raise SystemExit("two processes have not saved what they made")
    # Others, that begin with what the first has learned and with what ships.
    few = "--steps", 1, "--batch-size", 2
    for start in (folder / "train.py", "cosmicweb-500mpc"):
        run("train.py", folder, folder / f"after-{Path(start).name}", *few, "--start", start)
    run("train.py", folder, folder / "corrected", "--steps", 0, "--start", folder / "train.py")
    run("ends.py", folder, folder / "corrected", "-n", 2)
    models = folder / "train.py", "--wgan", folder / "wgan.py"
    few = "--set", "train", "--maps", 8, "--nearest", 1
    run("validate.py", folder, *models, *few, "--figures", folder)
    drawn = {path.name for path in (folder / "500mpc-train").glob("*.png")}
    if drawn != {"maps.png", "power.png", "histogram.png", "peaks.png"}:
        raise SystemExit(f"figures drawn: {sorted(drawn)}")


if __name__ == "__main__":
    main()
