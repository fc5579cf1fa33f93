"""
What each template is made to be: classes, votes, shape and colours; and how noisy it is.

.. code-block:: console

    $ python recipes/sdss-galaxies/conditions.py DATA WORK

Where volunteers have not said it, the classifier ``galaxyzoo2`` says it of the picture. Its
answers are kept in ``WORK/votes.h5``; ``WORK/conditions.h5`` belongs to ``WORK/templates.h5``.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np
import torch
from measure import HALF_LIGHT
from pictures import Galaxies
from rows import unit_noise
from scipy.ndimage import gaussian_filter
from seeing import pixel

from astrodlkit import Cutouts, load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.networks import GalaxyTemplateNetwork
from astrodlkit.networks._petrosian import END, elliptic_radius, petrosian_fade

# Petrosian radii between which noise is measured, and those where it is less.
FAINT, FAINTER = (1.0, END), ((END, 1.55), (1.55, 1.8))
# Noise that r has for itself, of that of g and i: compressed pictures keep brightness, which is r's
# most of all, apart from colours.
OF_R = 0.55
FINE, AROUND = 1.5, 2.0  # pixels: what is noise, and what is light
BLOCK = 250  # pictures classified at once
LIMITS = {"axis_ratio": (0.05, 1), "sersic_index": (0.3, 8), "psf_fwhm": (0.1, 1.2)}


def classify(classifier: CutoutClassifier, pictures: list[np.ndarray]) -> np.ndarray:
    """Probabilities of the five classes and the 37 votes of pictures of one size, (n, 42)."""
    stack = np.moveaxis(np.array(pictures), 3, 1).astype(np.float32)
    result = classifier.predict(Cutouts(stack, bands=("red", "green", "blue")), progress=False)
    votes = np.stack([result[name] for name in classifier.card.output.heads[0].labels], axis=1)
    with torch.inference_mode():
        classes = classifier.module.classes(torch.from_numpy(votes).float()).softmax(1)
    return np.hstack([classes.numpy(), votes])


def answers(data: Path, work: Path, rows: np.ndarray, classifier: CutoutClassifier) -> np.ndarray:
    """The classifier's for rows of `Galaxies.read`; what was asked before is read."""
    galaxies = Galaxies.read(data)
    with h5py.File(work / "votes.h5", "a") as file:
        if "answers" not in file:
            file.create_dataset("answers", (len(galaxies), 42), "f4", fillvalue=np.nan)
        known = file["answers"]
        todo = rows[np.isnan(known[()][rows, 0])]
        sets = np.asarray(galaxies.table["set"])[todo] == "efigi"
        for part in (todo[~sets], todo[sets]):
            for start in range(0, len(part), BLOCK):
                block = part[start : start + BLOCK]
                known[block] = classify(classifier, list(galaxies[block].pictures()))
                file.flush()
                print(f"{min(start + BLOCK, len(part))} of {len(part)}", flush=True)
        return known[()][rows]


def noise_of(light: np.ndarray, columns: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """
    Noise where templates are faint, and how it changes with the light.

    From what is finer than 1.5 pixels. Noise of `unit_noise` is measured in the same way and scaled
    to it.

    Returns
    -------
    columns : dict of `~numpy.ndarray`
        ``noise``, ``level``, ``dark`` and ``colour`` of `Rows`.
    """
    n, side = len(light), light.shape[-1]
    light = light.astype(np.float32)
    grain, reach, axis_ratio = (
        torch.from_numpy(columns[name]).float() for name in ("grain", "reach", "axis_ratio")
    )
    radius = elliptic_radius(side, axis_ratio)
    fade = petrosian_fade(radius, reach)[:, None]
    radius = (radius / reach[:, None, None]).numpy()
    faint = (radius > FAINT[0]) & (radius < FAINT[1])
    n_faint = faint.sum((1, 2))
    level = (light * faint[:, None]).sum((2, 3)) / n_faint.clip(1)[:, None]
    level[n_faint <= 30] = np.nan
    level = _typical(level).astype(np.float32)
    around = torch.from_numpy(gaussian_filter(light[:, 1:2], (0, 0, AROUND, AROUND)))
    bright = around / fade.clamp_min(0.01) / torch.from_numpy(level)[:, 1, None, None, None]
    together, both = (
        (fade * unit_noise(light.shape, rows, generator, bright.clamp_min(0))).numpy()
        for colour in (torch.zeros(n, 3), torch.ones(n, 3))
        for rows in [{"grain": grain, "colour": colour}]
        for generator in [torch.Generator().manual_seed(seed)]
    )
    alone, fade = both - together, fade.numpy()
    noise = np.full((n, 3), np.nan, np.float32)
    dark, colour = np.full(n, np.nan, np.float32), np.full((n, 3), np.nan, np.float32)
    for row in np.flatnonzero(n_faint > 30):
        fine, one, own = (_finer(images[row], FINE) for images in (light, together, alone))
        here = faint[row]
        found, shared, owned = (_spread(x[:, here]) for x in (fine, one, own))
        r = fine[1, here]
        # What of g's and i's is their own; the galaxy has a colour too.
        apart = fine[::2, here]
        apart = apart - (apart @ r / (r @ r))[:, None] * r
        share = (_spread(apart) / found[::2]).clip(0, 0.9)
        colour[row, ::2] = (shared / owned)[::2] * share / (1 - share**2) ** 0.5
        colour[row, 1] = OF_R * colour[row, ::2].mean()
        noise[row] = found / np.hypot(shared, colour[row] * owned)
        # What noise and light are there, of those where there is more: the line through (1, 1).
        fainter = [(radius[row] > low) & (radius[row] < high) for low, high in FAINTER]
        there = [where for where in fainter if where.sum() > 30]
        if there:
            less = [(_spread(fine[:, w]) / _spread(one[:, w]))[1] for w in there]
            left = [(light[row, 1, w] / fade[row, 0, w]).mean() for w in there]
            y = 1 - np.array(less) * shared[1] / found[1]
            x = 1 - (np.array(left) / level[row, 1]).clip(0, 0.9)
            dark[row] = 1 - (x @ y) / (x @ x)
    return {
        "noise": _typical(noise), "level": np.maximum(level, 0.1 * _typical(noise)),
        "dark": _typical(dark).clip(0, 1), "colour": _typical(colour).clip(0, 2),
    }  # fmt: skip


def _spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation of each band's pixels, from the median of absolute values."""
    return 1.48 * np.median(np.abs(values), axis=1)


def _finer(image: np.ndarray, scale: float) -> np.ndarray:
    """What is finer than a Gaussian of so many pixels."""
    image = image.astype(np.float32)
    return image - gaussian_filter(image, (0, scale, scale))


def _typical(values: np.ndarray) -> np.ndarray:
    """Values, and their median in place of those that are missing."""
    return np.where(np.isfinite(values), values, np.nanmedian(values, axis=0))


def conditions_of(
    file: h5py.File, said: np.ndarray, names: tuple[str, ...], votes: tuple[str, ...]
) -> np.ndarray:
    """Conditions in the order of ``names``, (n, n_conditions)."""
    labels = [name for name in names if name.startswith("class_")]
    classes, voted = said[:, : len(labels)].copy(), said[:, len(labels) :].copy()
    told = file["class5"][()]
    classes[told >= 0] = np.eye(len(labels), dtype=np.float32)[told[told >= 0]]
    real = file["votes"][()]
    known = np.isfinite(real).all(1)
    voted[known] = real[known]
    totals = file["templates"][()].astype(np.float32).sum((2, 3))
    g, r, i = np.maximum(totals, 1e-3).T
    columns = dict(zip(labels, classes.T, strict=True)) | dict(zip(votes, voted.T, strict=True))
    # The colours are those of the whole template, which a network's have exactly.
    columns |= {"g_r": -2.5 * np.log10(g / r), "r_i": -2.5 * np.log10(r / i)}
    columns |= {name: file[name][()] for name in ("axis_ratio", "sersic_index", "concentration",
                                                  "psf_fwhm")}  # fmt: skip
    for name, limits in LIMITS.items():
        columns[name] = np.clip(columns[name], *limits)
    return np.stack([columns[name] for name in names], axis=1).astype(np.float32)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("work", type=Path, help="folder that templates.py worked in")
    args = parser.parse_args()
    classifier = load_model("galaxyzoo2", device="cpu")
    names = GalaxyTemplateNetwork(n_table=1).condition_names
    votes = tuple(classifier.card.output.heads[0].labels)
    with h5py.File(args.work / "templates.h5") as file:
        rows = file["row"][()]
        said = answers(args.data, args.work, rows, classifier)
        conditions = conditions_of(file, said, names, votes)
        columns = {
            "axis_ratio": file["axis_ratio"][()],
            "reach": file["petrosian_radius"][()] / file["zoom"][()],
            "grain": file["psf_fwhm"][()] * np.float32(HALF_LIGHT),
        }
        parts = [
            noise_of(file["templates"][s], {k: v[s] for k, v in columns.items()}, s.start)
            for s in (slice(a, a + 500) for a in range(0, len(rows), 500))
        ]
        # ``flux`` is in square arcseconds of a PSF's size.
        area = np.array([pixel(float(fwhm)) ** 2 for fwhm in file["fwhm"][()]])
        brightness = file["flux"][()] / (area * file["zoom"][()] ** 2)
    with h5py.File(args.work / "conditions.part", "w") as file:
        file["row"], file["conditions"], file["brightness"] = rows, conditions, brightness
        for name in parts[0]:
            file[name] = np.concatenate([part[name] for part in parts])
        file.attrs["names"] = names
    (args.work / "conditions.part").replace(args.work / "conditions.h5")
    print(f"{len(rows)} templates, {len(names)} conditions")


if __name__ == "__main__":
    main()
