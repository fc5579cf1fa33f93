"""Draw how the novelty tells galaxies from what is none, with examples that are drawn too."""

from collections.abc import Mapping
from pathlib import Path

import defects
import matplotlib as mpl
import numpy as np
from astropy.modeling.models import Sersic2D

from astrodlkit.pretrained import Figure
from astrodlkit.specs import InputSpec

mpl.use("agg")
import matplotlib.pyplot as plt

SIDE = 96
SHOWN = (
    "half masked",
    "three times too narrow",
    "satellite trails over galaxies",
    "three times too wide",
    "diffraction spikes over galaxies",
    "band order gri",
    "blank sky",
    "stars",
    "galaxies of a frame, three times too wide",
    "stars, stamps four times as wide",
)
TICKS = (0, 0.9, 0.99, 0.999, 0.9999)
# Light of i, r and g in the sky's noise, a galaxy's bulge and its disc.
NOISE, BULGE, DISC = 0.006, (1.1, 0.9, 0.5), (0.8, 0.85, 0.8)


def sky(rng: np.random.Generator) -> np.ndarray:
    """A picture of nothing, between 0 and 1, shape (1, 3, 96, 96)."""
    return np.abs(rng.normal(0.03, 3 * NOISE, (1, 3, SIDE, SIDE))).astype(np.float32)


def galaxy(rng: np.random.Generator, radius: float = 15) -> np.ndarray:
    """A picture of a spiral galaxy, between 0 and 1, shape (1, 3, 96, 96)."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    shape = {"ellip": 0.3, "theta": 0.6}
    bulge = Sersic2D(amplitude=0.25, r_eff=radius / 4, n=2, **shape)(x, y)
    disc = Sersic2D(amplitude=0.18, r_eff=radius, n=1, **shape)(x, y)
    winding = 2 * np.arctan2(y, x) - 4.5 * np.log(np.hypot(x, y) / radius + 0.1)
    disc = disc * (1 + 0.6 * np.sin(winding) * np.clip(np.hypot(x, y) / radius, 0, 1))
    parts = zip(BULGE, DISC, strict=True)
    light = np.stack([1.5 * (a * bulge + b * disc) for a, b in parts])
    return np.clip(light[None] + sky(rng), 0, 1).astype(np.float32)


def star(rng: np.random.Generator, width: float) -> np.ndarray:
    """A picture of a star with a seeing of so many pixels."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    light = 1.2 * (1 + (x**2 + y**2) / (2 * width) ** 2) ** -2.5
    return np.clip(light * np.array([0.9, 0.9, 1])[:, None, None] + sky(rng), 0, 1)


def examples(spec: InputSpec, seed: int = 3) -> dict[str, np.ndarray]:
    """A drawn picture of each kind in ``SHOWN``, shape (3, 96, 96)."""
    rng = np.random.default_rng(seed)
    whole = galaxy(rng)
    masked = defects.half_masked(whole, rng)
    wide = galaxy(rng, radius=5)
    pictures = {
        "half masked": np.where(masked.mask, 0.6, whole),
        "three times too narrow": defects.too_narrow(whole),
        "satellite trails over galaxies": defects.trails(whole, spec.stretch, rng),
        "three times too wide": wide,
        "diffraction spikes over galaxies": defects.spikes(whole, spec.stretch, rng),
        "band order gri": whole[:, ::-1],
        "blank sky": sky(rng),
        "stars": star(rng, 10),
        "galaxies of a frame, three times too wide": wide,
        "stars, stamps four times as wide": star(rng, 2.5),
    }
    return {name: pictures[name][0] for name in SHOWN}


def draw(
    path: Path,
    usual: np.ndarray,
    far: Mapping[str, np.ndarray],
    measured: Mapping[str, Figure],
    spec: InputSpec,
) -> None:
    """Histograms of the novelty of galaxies and of each defect, beside a drawn example."""
    rows = (len(SHOWN) + 1) // 2
    figure, axes = plt.subplots(
        rows, 4, figsize=(10, 1.55 * rows), width_ratios=(1, 3, 1, 3), layout="constrained"
    )
    drawn = examples(spec)
    bins = np.linspace(0, 4.5, 46)
    for (picture, panel), name in zip(axes.reshape(-1, 2), SHOWN, strict=True):
        picture.imshow(np.moveaxis(np.clip(drawn[name], 0, 1), 0, 2))
        picture.set_axis_off()
        for values, colour in ((usual, "0.6"), (far[name], "C3")):
            place = np.clip(-np.log10(np.maximum(1 - values, 1e-9)), 0, bins[-1] - 1e-6)
            weights = np.full(len(place), 1 / len(place))
            panel.hist(place, bins, weights=weights, color=colour, alpha=0.7)
        panel.axvline(2, color="k", lw=0.7, ls=":")
        panel.set_xticks([-np.log10(1 - tick) for tick in TICKS], [f"{tick:g}" for tick in TICKS])
        panel.set_yticks([])
        panel.tick_params(labelsize=7)
        found = measured[name]
        panel.set_title(
            f"{name}\nAUROC {found.value:.3f}, above 0.99: {(far[name] > 0.99).mean():.0%}, "
            f"N = {found.n}",
            fontsize=7.5,
        )
    figure.supxlabel("novelty (grey: validation galaxies; red: with the defect)", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
