"""
Draw the templates that were kept, and the pictures that were dropped with their reasons.

.. code-block:: console

    $ python recipes/sdss-galaxies/sheets.py DATA WORK SHEETS

The pictures are not ours: ``SHEETS`` is a folder outside the repository.
"""

import argparse
from pathlib import Path

import h5py
import matplotlib as mpl
import numpy as np
from linear import SDSS
from pictures import Galaxies

mpl.use("agg")
import matplotlib.pyplot as plt

ACROSS, DOWN = 12, 8


def composite(stamp: np.ndarray) -> np.ndarray:
    """A template, (3, ny, nx), stretched as SDSS's pictures are."""
    light = stamp.astype(np.float32) / stamp[1].max() * 30
    return np.moveaxis(SDSS.apply(light[None, ::-1])[0], 0, 2)


def draw(path: Path, rows: list[tuple[np.ndarray, np.ndarray | None, str]]) -> None:
    """Pictures, templates below them where there are any, and a text over both."""
    two = 1 + any(stamp is not None for _, stamp, _ in rows)
    figure, axes = plt.subplots(two * DOWN, ACROSS, figsize=(ACROSS * 1.1, two * DOWN * 1.15))
    for ax in axes.flat:
        ax.axis("off")
    for k, (picture, stamp, text) in enumerate(rows):
        row, column = divmod(k, ACROSS)
        axes[two * row, column].imshow(np.minimum(picture / 255 * 1.8, 1), origin="lower")
        axes[two * row, column].set_title(text, fontsize=5, pad=1)
        if stamp is not None:
            axes[two * row + 1, column].imshow(composite(stamp), origin="lower")
    figure.subplots_adjust(0, 0, 1, 0.98, 0.02, 0.12 / two)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("work", type=Path, help="folder that templates.py worked in")
    parser.add_argument("sheets", type=Path, help="folder to draw to")
    parser.add_argument("--chunks", default="chunks", help="which chunks, as chunks-200")
    args = parser.parse_args()
    args.sheets.mkdir(parents=True, exist_ok=True)
    galaxies, rng = Galaxies.read(args.data), np.random.default_rng(0)
    names = ("row", "reason", "concentration", "axis_ratio", "sersic_index", "asymmetry")
    columns: dict[str, list[np.ndarray]] = {name: [] for name in (*names, "templates")}
    for path in sorted((args.work / args.chunks).glob("chunk-*.h5")):
        with h5py.File(path) as file:
            for name, column in columns.items():
                column.append(file[name][()])
    found = {name: np.concatenate(column) for name, column in columns.items()}
    reason = found["reason"].astype(str)
    for why in np.unique(reason):
        rows = rng.permutation(np.flatnonzero(reason == why))[: ACROSS * DOWN]
        drawn = []
        for k in rows:
            row = int(found["row"][k])
            text = f"{galaxies.table['set'][row][:4]} {galaxies.table['id'][row][-10:]}"
            text += f" C{found['concentration'][k]:.1f} n{found['sersic_index'][k]:.1f}"
            stamp = None if why else found["templates"][k].astype(float)
            drawn.append((galaxies.picture(row), stamp, text))
        draw(args.sheets / f"{why.replace(' ', '-') or 'kept'}.png", drawn)
        print(f"{(reason == why).sum():6d} {why or 'kept'}")


if __name__ == "__main__":
    main()
