"""Figures of a validation: maps, and ratios of statistics to those of simulated maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from measures import EDGES, count_ratio, ratio

mpl.use("agg")
import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm

if TYPE_CHECKING:
    from validate import Measured

STYLES = (
    {"color": "black"},
    {"color": "tab:blue"},
    {"color": "tab:orange", "ls": "--"},
    {"color": "tab:red", "ls": ":"},
    {"color": "tab:green"},
)
# Ratios are drawn this far from 1.
REACH = 0.3


def draw(measured: Measured, folder: Path, title: str) -> None:
    """
    Write ``maps.png``, ``power.png``, ``histogram.png`` and ``peaks.png``.

    Parameters
    ----------
    measured : Measured
        From ``validate.compare``.
    folder : `~pathlib.Path`
        Made if it is missing.
    title : str
        Which boxes these are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw_maps(measured, folder / "maps.png")
    draw_power(measured, folder / "power.png", title)
    for name, what in (("pixels", "histogram"), ("peaks", "peaks")):
        draw_counts(measured, name, folder / f"{what}.png", f"{what}, {title}")


def draw_maps(measured: Measured, path: Path) -> None:
    """Two maps of each source at the earliest and the latest snapshot of one cosmology."""
    middle = np.argsort(measured.conditions[:, 0], kind="stable")[len(measured.conditions) // 2]
    alike = np.flatnonzero(measured.cosmologies == measured.cosmologies[middle])
    order = alike[np.argsort(measured.conditions[alike, 2])]
    names = list(measured.samples)
    extent = measured.pixel * measured.samples[names[0]].shape[-1]
    figure, axes = plt.subplots(
        4, len(names), figsize=(2.5 * len(names) + 1, 10.6), layout="constrained", sharex=True,
        sharey=True, squeeze=False,
    )  # fmt: skip
    for pair, snapshot in zip((axes[:2], axes[2:]), order[[0, -1]], strict=True):
        true = measured.samples[names[0]][snapshot]
        norm = LogNorm(*np.quantile(true, (0.01, 0.999)))
        for column, name in enumerate(names):
            for ax, map_ in zip(pair[:, column], measured.samples[name][snapshot], strict=False):
                image = ax.imshow(
                    np.maximum(map_, 1e-3), norm=norm, cmap="inferno", origin="lower",
                    extent=(0, extent, 0, extent),
                )  # fmt: skip
        matter, sigma8, redshift = measured.conditions[snapshot]
        pair[0, 0].set_title(
            f"matter density {matter:.2f}, sigma8(z) {sigma8:.2f}, z = {redshift:.2f}",
            fontsize=9,
            loc="left",
        )
        figure.colorbar(image, ax=pair, label="density / mean", shrink=0.7)
    for ax, name in zip(axes[-1], names, strict=True):
        ax.set_xlabel(f"{name.removesuffix('/real')}\nMpc")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _draw_ratios(
    ax: plt.Axes, measured: Measured, x: np.ndarray, found: dict[str, np.ndarray], band: np.ndarray
) -> None:
    ax.axhline(1, color="0.6", lw=0.8)
    ax.fill_between(x, 1 - band, 1 + band, color="0.85", label="scatter of a simulated snapshot")
    band = band / np.sqrt(len(np.unique(measured.cosmologies)))
    ax.fill_between(x, 1 - band, 1 + band, color="0.7", label="the same, of all cosmologies")
    for style, (name, values) in zip(STYLES, found.items(), strict=False):
        ax.plot(x, values, lw=1.2, label=name, **style)
    ax.set(xscale="log", ylim=(1 - REACH, 1 + REACH), ylabel="ratio to simulated maps")
    ax.legend(fontsize=8, ncols=2)


def draw_power(measured: Measured, path: Path, title: str) -> None:
    """Ratio of P(k) of each source, with the scatter from box to box."""
    names = list(measured.sources)
    true, weights = measured.sources[names[0]], np.ones(len(measured.cosmologies))
    halves = measured.halves
    found = {names[0]: ratio("power", *halves, weights, 1)}
    for name in names[1:]:
        found[name] = ratio("power", measured.sources[name], true, weights, 1)
    # Half the difference of the halves is what their mean scatters by.
    share = (halves[0]["power"] - halves[1]["power"]) / (halves[0]["power"] + halves[1]["power"])
    figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    k, nyquist = true["k"][0], true["nyquist"][0]
    _draw_ratios(ax, measured, k, found, np.sqrt(np.mean(share**2, 0)))
    for part in (0.5, 0.8):
        ax.axvline(part * nyquist, color="0.6", ls=":", lw=0.8)
        ax.text(part * nyquist, 1 - 0.95 * REACH, f" {part} Nyquist", fontsize=7, rotation=90)
    ax.set(xlabel="k (1/Mpc)", title=f"P(k), {title}, {len(weights)} snapshots", xlim=k[[0, -1]])
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_counts(measured: Measured, name: str, path: Path, title: str) -> None:
    """Counts a map of pixels or peaks, and their ratio to those of simulated maps."""
    names = list(measured.sources)
    true, weights = measured.sources[names[0]], np.ones(len(measured.cosmologies))
    x = np.sqrt(EDGES[1:] * EDGES[:-1])
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(7, 6.4), layout="constrained", sharex=True, height_ratios=(1, 1)
    )
    found = {names[0]: count_ratio(name, *measured.halves, weights)}
    for each in names[1:]:
        found[each] = count_ratio(name, measured.sources[each], true, weights)
    for style, (each, made) in zip(STYLES, measured.sources.items(), strict=False):
        counts = made[name].sum(0) / made["n"].sum()
        upper.step(x, np.where(counts > 0, counts, np.nan), where="mid", label=each, **style)
    upper.set(yscale="log", ylabel="number a map", title=f"{title}, {len(weights)} snapshots")
    first, second = (half[name].sum(0) / half["n"].sum() for half in measured.halves)
    with np.errstate(divide="ignore", invalid="ignore"):
        band = np.abs(first - second) / (first + second)
    band = np.where(np.isfinite(found[names[0]]), band, np.nan)
    lower.axhline(1, color="0.6", lw=0.8)
    lower.fill_between(x, 1 - band, 1 + band, color="0.8", label="what the simulated ones scatter")
    for style, (each, values) in zip(STYLES, found.items(), strict=False):
        lower.plot(x, values, lw=1.2, label=each, **style)
    lower.set(ylim=(1 - REACH, 1 + REACH), ylabel="ratio to simulated maps", xscale="log")
    known = np.flatnonzero(true[name].sum(0))
    lower.set(xlabel="density / mean", xlim=(x[known[0]], x[known[-1]]))
    lower.legend(fontsize=8, ncols=2)
    figure.savefig(path, dpi=100)
    plt.close(figure)
