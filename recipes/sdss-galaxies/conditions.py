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
from rows import END, faded, unit_noise
from scipy.ndimage import gaussian_filter
from seeing import pixel

from astrodlkit import Cutouts, load_model
from astrodlkit.classify import CutoutClassifier
from astrodlkit.networks import GalaxyTemplateNetwork

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


def noise_of(
    light: np.ndarray, columns: dict[str, np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """
    Noise in g, r and i, (n, 3), and what each band has for itself in units of that, (n,).

    From what is finer than 1.5 pixels where templates are faint, and from colours finer than 6
    pixels there. Noise of `unit_noise` is measured in the same way and scaled to it.
    """
    n, side = len(light), light.shape[-1]
    known = {name: torch.from_numpy(columns[name]).float() for name in ("grain", "reach")}
    axis_ratio = torch.from_numpy(columns["axis_ratio"]).float()
    generator = torch.Generator().manual_seed(seed)
    together, alone = (
        faded(unit_noise(light.shape, known | {"colour": share}, generator), known, axis_ratio)
        for share in (torch.zeros(n), torch.ones(n))
    )
    together, alone = together.numpy(), alone.numpy()
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    noise, colour = np.full((n, 3), np.nan, np.float32), np.full(n, np.nan, np.float32)
    for row in range(n):
        radius = np.hypot(x, y / max(columns["axis_ratio"][row], 0.05)) / columns["reach"][row]
        faint = (radius > 1) & (radius < END)
        if faint.sum() <= 30:
            continue
        found, made = (
            1.48 * np.median(np.abs(_finer(images[row], 1.5)[:, faint]), axis=1)
            for images in (light, together)
        )
        noise[row] = found / made
        g, r, _ = _finer(light[row], 6)[:, faint]
        # The galaxy has a colour too.
        scatter = (g - (g @ r) / (r @ r) * r).std() / noise[row, 0]
        g, r, _ = _finer(alone[row], 6)[:, faint]
        colour[row] = scatter / (g - r).std()
    return _typical(noise), _typical(colour).clip(0, 1)


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
        for name, values in zip(("noise", "colour"), zip(*parts, strict=True), strict=True):
            file[name] = np.concatenate(values)
        file.attrs["names"] = names
    (args.work / "conditions.part").replace(args.work / "conditions.h5")
    print(f"{len(rows)} templates, {len(names)} conditions")


if __name__ == "__main__":
    main()
