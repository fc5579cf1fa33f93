"""
Draw generated templates beside real ones of the same conditions.

.. code-block:: console

    $ python recipes/sdss-galaxies/samples.py WORK MODEL sheet.png

Of each galaxy: the real template, what the autoencoder makes of it, and generated ones, with noise
and without. The pictures are not ours: the sheet lies outside the repository.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from rows import Rows, add_noise
from sheets import composite
from train import read_network

mpl.use("agg")
import matplotlib.pyplot as plt


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of templates.py and conditions.py")
    parser.add_argument("model", type=Path, help="folder of train.py, network.pt or checkpoint")
    parser.add_argument("sheet", type=Path, help="PNG file to draw")
    parser.add_argument("--n", type=int, default=48)
    parser.add_argument("--columns", type=int, default=2, help="galaxies side by side")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows, network = Rows.read(args.work), read_network(args.model)
    rng = np.random.default_rng(args.seed)
    chosen = np.sort(rng.permutation(np.flatnonzero(rows.split == 1))[: args.n])
    batch = rows.tensors(chosen)
    conditions, random = batch["conditions"], torch.Generator().manual_seed(args.seed)
    with torch.inference_mode():
        shown = [batch["templates"]]
        shown.append(network(network.encode(shown[0], conditions), conditions))
        for noisy in (True, False, False):
            latent = torch.randn(len(chosen), network.n_latent, generator=random)
            made = network(latent, conditions)
            axis_ratio = network.column(conditions, "axis_ratio")
            shown.append(add_noise(made, batch, axis_ratio, random) if noisy else made)
    across, down = args.columns * len(shown), -(-len(chosen) // args.columns)
    figure, axes = plt.subplots(down, across, figsize=(across, 1.03 * down), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for k in range(len(chosen)):
        row, column = k % down, k // down * len(shown)
        for j, images in enumerate(shown):
            axes[row, column + j].imshow(composite(images[k].numpy()), origin="lower")
    figure.subplots_adjust(0, 0, 1, 1, 0.02, 0.02)
    figure.savefig(args.sheet, dpi=80)


if __name__ == "__main__":
    main()
