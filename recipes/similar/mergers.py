"""How many of the galaxies most similar to a few mergers are mergers."""

import argparse
import io
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from astrodlkit import Cutouts, load_model

MERGER = 5  # of the Galaxy Zoo 1 labels


def read(folder: Path) -> tuple[Cutouts, np.ndarray, np.ndarray]:
    """Pictures, labels and splits of Galaxy Zoo 1."""
    with h5py.File(folder / "gz1_small_96.h5") as file:
        offsets, jpeg = file["offsets"][()], file["jpeg"][()]
        pictures = [
            np.asarray(Image.open(io.BytesIO(jpeg[start:stop].tobytes())))
            for start, stop in pairwise(offsets)
        ]
        label, split = file["label"][()], file["split"][()]
    data = np.moveaxis(np.array(pictures), 3, 1).astype(np.float32)
    return Cutouts(data, bands=("red", "green", "blue")), label, split


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of gz1_small_96.h5")
    parser.add_argument("--model", default="galaxyzoo2")
    parser.add_argument("--examples", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--draws", type=int, default=40, help="of the examples")
    args = parser.parse_args()

    model = load_model(args.model)
    cutouts, label, split = read(args.data)
    features = model.embed(cutouts)
    for name, rows in (("all rows", split >= 0), ("validation rows", split == 1)):
        rows = np.flatnonzero(rows)  # noqa: PLW2901
        mergers = np.flatnonzero(label[rows] == MERGER)
        print(f"{name}: {len(mergers)} of {len(rows)} are mergers")
        for n_examples in args.examples:
            found = []
            for draw in range(args.draws):
                chosen = np.random.default_rng(draw).choice(mergers, n_examples, replace=False)
                result = model.find_similar(cutouts[rows], chosen, 50, features=features[rows])
                found.append(label[rows][result["row"]] == MERGER)
            for n in (20, 50):
                counts = np.sum(np.array(found)[:, :n], axis=1)
                print(
                    f"  {n_examples} examples: {counts.mean():.1f} +- {counts.std():.1f} mergers "
                    f"(of {len(mergers) - n_examples}) among the first {n}; {args.draws} draws"
                )


if __name__ == "__main__":
    main()
