"""The recipe on a few drawn galaxies: train, interrupt, resume, export, validate, classify."""

import argparse
import io
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from astropy.modeling.models import Sersic2D
from astropy.table import QTable
from export import OUTPUT
from PIL import Image
from train import BACKBONE
from yardsticks import THIRD_PLACE_PARAMETERS, make_network

from astrodlkit import classify_cutouts, describe_model
from astrodlkit.networks import VoteTree

HERE = Path(__file__).parent
N = 160  # enough validation rows for a calibration and its cross-validation


def draw(rng: np.random.Generator, side: int) -> np.ndarray:
    """Pictures of Sersic galaxies with noise, shape (N, side, side, 3), uint8."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    pictures = []
    for _ in range(N):
        galaxy = Sersic2D(
            amplitude=rng.uniform(0.1, 0.3),
            r_eff=rng.uniform(6, 12),
            n=rng.uniform(1, 4),
            ellip=rng.uniform(0, 0.7),
            theta=rng.uniform(0, np.pi),
        )
        colour = rng.uniform(0.7, 1.3, 3)
        noise = rng.normal(0.03, 0.02, (side, side, 3))
        pictures.append(np.clip(255 * (galaxy(x, y)[..., None] * colour + noise), 0, 255))
    return np.array(pictures, dtype=np.uint8)


def write_sets(folder: Path, rng: np.random.Generator) -> None:
    """Files of the same form as the labelled sets."""
    split = np.arange(N) % 4 == 0
    logits = torch.from_numpy(rng.normal(size=(N, 37)).astype(np.float32))
    votes = VoteTree()(logits).numpy()
    with h5py.File(folder / "gz2_kaggle_96.h5", "w") as file:
        write_jpegs(file, draw(rng, 96))
        file["split"], file["votes37"] = split, votes
        file["has_votes"] = np.arange(N) % 2 == 0
        file["class5"] = np.arange(N) % 6 - 1
        file["argmax_group"] = rng.integers(0, 5, N)
        file["odd_spiral"] = rng.integers(-1, 2, N)
    with h5py.File(folder / "gz_votes37_96.h5", "w") as file:
        file["images"], file["split"], file["votes37"] = draw(rng, 96), split, votes
        file["label_system"] = np.arange(N) % 3 > 0
        file["ids"] = [f"gz2_{i}".encode() for i in range(N)]
    with h5py.File(folder / "gz2_hart16_96.h5", "w") as file:
        file["ids"], file["votes37_weighted"] = np.arange(N), votes
    with h5py.File(folder / "gz1_small_96.h5", "w") as file:
        write_jpegs(file, draw(rng, 96))
        file["split"], file["label"] = split, rng.integers(0, 6, N)
    with h5py.File(folder / "efigi_88.h5", "w") as file:
        write_jpegs(file, draw(rng, 88))
        file["split"], file["T"] = split, rng.integers(-6, 12, N)
        file["attributes"] = rng.uniform(size=(N, 51)).astype(np.float32)


def write_jpegs(file: h5py.File, pictures: np.ndarray) -> None:
    """Compressed pictures, one after the other, and where each begins."""
    packed = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "jpeg", quality=95)
        packed.append(np.frombuffer(buffer.getvalue(), dtype=np.uint8))
    file["jpeg"] = np.concatenate(packed)
    file["offsets"] = np.cumsum([0, *map(len, packed)])


def check_third_place() -> None:
    """The network to compare with has the parameters of the report, and answers."""
    network = make_network("third-place", BACKBONE).eval()
    # All but the layer from votes to classes, which is ours.
    parts = network.backbone, network.votes
    found = sum(p.numel() for part in parts for p in part.parameters())
    if not found == THIRD_PLACE_PARAMETERS == 19_465_541:
        raise SystemExit(f"the third-place network has {found} parameters")
    with torch.no_grad():
        votes = network(torch.zeros(1, 3, 120, 120))["votes"]
    if votes.shape != (1, 37) or not torch.isfinite(votes).all():
        raise SystemExit(f"the third-place network answers {votes}")


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
    check_third_place()
    rng = np.random.default_rng(1)
    write_sets(data, rng)
    options = ["--from-scratch", "--side", 48, "--batch-size", 8, "--steps", 6]
    for stop in (3, 6):
        run("train.py", data, work, *options, "--stop-at", stop)
    run("teach.py", data, data / "taught.npy", work / "network.pt", "--backbone", BACKBONE)
    run("train.py", data, data / "pupil", *options, "--taught", data / "taught.npy")
    run("export.py", data, data / "pupil/network.pt", model, "--side", 64)
    run("validate.py", data, "--model", model)

    table = QTable(
        {"cutout": np.moveaxis(draw(rng, 60), 3, 1)}, meta={"bands": ("red", "green", "blue")}
    )
    result = classify_cutouts(table, model=model, bands=("red", "green", "blue"))
    if not set(OUTPUT.columns) <= set(result.colnames):
        raise SystemExit(f"columns are missing: {result.colnames}")
    if not (len(result) == N and np.isfinite(result["class_probability"]).all()):
        raise SystemExit(f"not all galaxies were classified: {result}")
    print(describe_model(model))


if __name__ == "__main__":
    main()
