"""
How wide the PSF of a picture is.

The pictures are scaled to the galaxies and do not say by how much. Noise that was white in SDSS's
pixels is correlated where they were enlarged, as wide as stars are; what goes with what was
measured on the stars of those pictures that have one.

.. code-block:: console

    $ python recipes/sdss-galaxies/seeing.py DATA

does that, and is where the table below comes from.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.stats import sigma_clip
from linear import linear
from pictures import Galaxies
from scipy.ndimage import label, maximum_filter, zoom

# Correlation of the noise of neighbouring pixels in r, and full width at half maximum of stars.
CORRELATIONS = (0.20, 0.30, 0.39, 0.465, 0.53, 0.59, 0.66, 0.72, 0.80)
WIDTHS = (1.6, 1.95, 2.6, 3.15, 3.7, 4.1, 4.95, 5.6, 7.0)  # pixels
# EFIGI's pictures are made smaller, and their stars are the same everywhere.
EFIGI_WIDTH = 1.85
# Median full width at half maximum of SDSS's PSF in r, arcsec.
SEEING = 1.32


def empty_rim(r: np.ndarray) -> np.ndarray:
    """Where the rim of a picture, (side, side) of light in r, is but sky."""
    side = len(r)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    rim = np.maximum(np.abs(x), np.abs(y)) > 0.41 * side
    empty = np.zeros_like(rim)
    empty[rim] = ~sigma_clip(r[rim], sigma=2.5, maxiters=8).mask
    return empty


def correlation(r: np.ndarray, empty: np.ndarray) -> float:
    """Of neighbouring pixels of the sky."""
    off = np.where(empty, r - r[empty].mean(), 0)
    along = [
        (off[1:] * off[:-1]).sum() / max((empty[1:] & empty[:-1]).sum(), 1),
        (off[:, 1:] * off[:, :-1]).sum() / max((empty[:, 1:] & empty[:, :-1]).sum(), 1),
    ]
    return float(np.mean(along) / max(r[empty].var(), 1e-12))


def width(r: np.ndarray, empty: np.ndarray, *, efigi: bool = False) -> float:
    """Full width at half maximum of the PSF, in pixels of the picture."""
    if efigi:
        return EFIGI_WIDTH
    return float(np.interp(correlation(r, empty), CORRELATIONS, WIDTHS))


def pixel(fwhm: float) -> float:
    """Arcsec in a pixel, if the PSF is as SDSS's mostly is; the pixel itself is a box."""
    return SEEING / float(np.sqrt(max(fwhm**2 - 1, 0.25)))


def smallest_star(r: np.ndarray, empty: np.ndarray, saturated: np.ndarray) -> float:
    """Full width of the smallest round bright source away from the galaxy, or NaN."""
    side = len(r)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    light = r - r[empty].mean()
    peaks = (maximum_filter(light, 7) == light) & (light > 40 * r[empty].std()) & ~saturated
    peaks &= (np.hypot(x, y) > 0.28 * side) & (np.maximum(np.abs(x), np.abs(y)) < side / 2 - 8)
    widths = []
    for row, column in zip(*np.nonzero(peaks), strict=True):
        near = light[row - 7 : row + 8, column - 7 : column + 8]
        rim = np.concatenate([near[0], near[-1], near[:, 0], near[:, -1]])
        fine = zoom(near - np.percentile(rim, 30), 4, order=3)
        parts, _ = label(fine > fine[28, 28] / 2)
        inside = np.nonzero(parts == parts[28, 28])
        axes = np.linalg.eigvalsh(np.cov(*inside)) if len(inside[0]) > 5 else (0, 1)
        if parts[28, 28] and axes[0] > 0.72 * axes[1]:
            widths.append(2 * np.sqrt(len(inside[0]) / np.pi) / 4)
    return min(widths, default=np.nan)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="stars against the noise of their pictures")
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--n", type=int, default=3000, help="pictures")
    args = parser.parse_args()
    galaxies = Galaxies.read(args.data)
    galaxies = galaxies[np.linspace(0, len(galaxies) - 1, args.n).astype(int)]
    efigi, found = np.asarray(galaxies.table["set"]) == "efigi", []
    for row, picture in enumerate(galaxies.pictures()):
        light, saturated = linear(picture, efigi=bool(efigi[row]))
        empty = empty_rim(light[1])
        star = smallest_star(light[1], empty, saturated)
        found.append((correlation(light[1], empty), star))
    noise, star = np.array(found).T
    for name, chosen in (("EFIGI", efigi), ("Galaxy Zoo", ~efigi)):
        rows = chosen & np.isfinite(star)
        order = np.flatnonzero(rows)[np.argsort(noise[rows])]
        for part in np.array_split(order, max(min(8, len(order)), 1)) if len(order) else ():
            low, middle, high = np.percentile(star[part], [16, 50, 84])
            print(f"{name}: correlation {noise[part].mean():.3f}, FWHM {middle:.2f} "
                  f"({low:.2f} to {high:.2f}) pixels, N={len(part)}")  # fmt: skip


if __name__ == "__main__":
    main()
