"""
The recipe on a few galaxies drawn by GalSim, all of it.

Read, undo the stretch, clean, measure, resume; teach the candidates for two steps, judge,
draw and export what they make.
"""

import argparse
import io
import subprocess
import sys
from pathlib import Path

import galsim
import h5py
import numpy as np
import torch
from linear import BANDS, EFIGI_POWER, EFIGI_SCALES, EFIGI_WHITE, SDSS, linear
from measure import HALF_LIGHT, SIDE
from PIL import Image
from strays import stray

from astrodlkit import load_model

HERE = Path(__file__).parent
N, PIXEL = 6, 0.35  # galaxies in a set, arcsec
NOISE, PEDESTAL = 0.06, 0.1  # nanomaggies per square arcsecond


def draw(rng: np.random.Generator, side: int, q: float) -> np.ndarray:
    """A galaxy with stars beside it, g, r and i, (3, side, side)."""
    shape = galsim.Shear(q=q, beta=float(rng.uniform(0, 180)) * galsim.degrees)
    radius = 8.5 * PIXEL * side / 96
    galaxy = galsim.Sersic(n=1.5, half_light_radius=radius).shear(shape)
    psf = galsim.Moffat(beta=3.5, fwhm=1.3)
    away = rng.uniform(32, 44, 4) * PIXEL * side / 96
    around = rng.uniform(0, 2 * np.pi, 4)
    stars = [
        psf.shift(*at) for at in zip(away * np.cos(around), away * np.sin(around), strict=True)
    ]
    bands = []
    for flux in (80.0, 145.0, 210.0):
        both = flux * galsim.Convolve(galaxy, psf) + 0.04 * flux * galsim.Sum(stars)
        image = both.drawImage(nx=side, ny=side, scale=PIXEL).array / PIXEL**2
        bands.append(image + rng.normal(0, NOISE, image.shape))
    return np.array(bands, np.float32)


def picture(light: np.ndarray, *, efigi: bool = False) -> np.ndarray:
    """Stretched to 8 bits, (side, side, 3)."""
    if efigi:
        scaled = np.maximum(light[::-1] + PEDESTAL, 0) * np.array(EFIGI_SCALES)[:, None, None]
        mean = np.maximum(scaled.mean(0), 1e-6)
        levels = np.minimum(scaled / mean * (mean / EFIGI_WHITE) ** (1 / EFIGI_POWER), 1)
    else:
        levels = SDSS.apply(light[None, ::-1] + PEDESTAL)[0]
    return np.rint(255 * np.moveaxis(levels, 0, 2)).astype(np.uint8)


def write(file: h5py.File, pictures: list[np.ndarray], ids: np.ndarray) -> None:
    """What all the sets have."""
    jpegs = []
    for image in pictures:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=95, subsampling=0)
        jpegs.append(buffer.getvalue())
    file["jpeg"] = np.frombuffer(b"".join(jpegs), np.uint8)
    file["offsets"] = np.cumsum([0, *map(len, jpegs)])
    file["ids"], file["split"] = ids, np.arange(len(ids)) % 2


def write_sets(folder: Path) -> None:
    """Files of the same form as the labelled sets; one galaxy of GZ1 is in Hart's set too."""
    rng = np.random.default_rng(4)
    pictures = [[picture(draw(rng, side, q), efigi=side == 88) for q in np.linspace(0.4, 0.9, N)]
                for side in (96, 96, 88, 96)]  # fmt: skip
    pictures[3][1] = pictures[1][0]
    ids, unknown = np.arange(N), np.full(N, -1)
    votes = rng.dirichlet(np.ones(3), N) * [1, 1, 0.1]
    votes = np.hstack([votes, rng.uniform(size=(N, 34))]).astype(np.float32)
    with h5py.File(folder / "gz2_kaggle_96.h5", "w") as file:
        write(file, pictures[0], ids)
        file["votes37"], file["has_votes"], file["class5"] = votes, np.ones(N, bool), ids % 5
    with h5py.File(folder / "gz2_hart16_96.h5", "w") as file:
        write(file, pictures[1], ids)
        file["votes37_weighted"], file["votes37_debiased"] = votes, votes
        file["dr7objid"] = [str(1000 + i).encode() for i in ids]
        file["class5"] = unknown
    with h5py.File(folder / "gz_votes37_96.h5", "w") as file:
        file["ids"] = [f"kaggle_{i}".encode() for i in ids]
        file["label_system"], file["split"] = np.zeros(N), ids % 2
    with h5py.File(folder / "efigi_88.h5", "w") as file:
        write(file, pictures[2], np.array([f"PGC{i}".encode() for i in ids]))
        file["T"], file["attributes"] = ids, rng.uniform(size=(N, 51)).astype(np.float32)
    with h5py.File(folder / "gz1_small_96.h5", "w") as file:
        write(file, pictures[3], np.where(ids == 1, 1000, ids))
        file["label"] = ids % 6


def run(script: str, *arguments: object) -> str:
    """Run a script of the recipe; what it prints."""
    command = [sys.executable, HERE / script, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    print(done.stdout)
    return done.stdout


def learn(data: Path, work: Path, folder: Path) -> None:
    """Conditions, all candidates, one of them interrupted, and what they are judged by."""
    run("conditions.py", data, work)
    few = "--batch-size", 2, "--steps", 2
    run("train.py", work, folder / "vae", "--candidate", "vae", *few, "--stop-at", 1)
    run("train.py", work, folder / "vae", "--candidate", "vae", *few)
    run("gradation.py", work, folder / "vae", "--smooth", 0)
    run("train.py", work, folder / "gan", "--candidate", "gan", *few)
    start = "--start", folder / "vae"
    run("train.py", work, folder / "both", "--candidate", "vae-gan", *few, *start)
    run("narrow.py", work, folder / "vae", folder / "narrow", "--widths", 32, 16, 16, 8, *few)
    new = "--layers", 4, "--hidden", 16, "--steps", 2
    run("latents.py", work, folder / "narrow", folder / "flow", *new)
    run("features.py", work, folder / "reader", *few)
    more = "--start", folder / "flow", "--reader", folder / "reader/reader.pt"
    run("train.py", work, folder / "textures", "--candidate", "vae-textures", *few, *more)
    run("samples.py", work, folder / "gan", folder / "samples.png", "--n", 4)
    table = run("validate.py", work, folder / "both", "--fits", 2, "--shears", 2)
    if "nan" in table or "shear slope" not in table:
        raise SystemExit("the table of figures is not whole")
    run("shortcomings.py", work, folder / "textures")
    run("grains.py", work, folder / "textures")
    run("export.py", work, folder / "vae", folder / "model", "--candidate", "vae", "--shears", 2)
    network = load_model(folder / "model/sdss-galaxies.json", device="cpu").module
    light = network(torch.zeros(1, network.n_latent), network.deck.table[:1]).detach()
    if abs(float(light[0, 1].sum()) - 1) > 1e-4:
        raise SystemExit("what was exported makes no template of unit flux")


def check_strays() -> None:
    """A star on a galaxy is told, by its light and by not being bluer; the galaxy alone is not."""
    psf = galsim.Gaussian(fwhm=4.0)
    galaxy = galsim.Convolve(galsim.Sersic(n=1, half_light_radius=HALF_LIGHT).shear(g1=0.2), psf)
    for flux, colour, wanted in ((0.0, 1.0, 0.0), (0.03, 1.0, 0.03), (0.03, 2.0, 0.0)):
        stamp = [
            (galaxy + factor * flux * psf.shift(24, -5)).drawImage(nx=SIDE, ny=SIDE, scale=1).array
            for factor in (colour, 1, 1)
        ]
        found = stray(np.array(stamp), 4.0)
        if not 0.7 * wanted <= found <= wanted:
            raise SystemExit(f"a star of {flux} on a galaxy of 1 is taken for {found}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    folder = parser.parse_args().folder
    check_strays()
    light = draw(np.random.default_rng(1), 96, 0.6)
    back, _ = linear(picture(light))
    bright = light[1] > 1
    for band, name in enumerate(BANDS):
        black = SDSS.minimum / SDSS.scales["irg".index(name)]
        off = np.median(((back + black - PEDESTAL - light) / light)[band][bright])
        if abs(off) > 0.03:
            raise SystemExit(f"{name} comes back {off:+.3f} off")
    data, work = folder / "data", folder / "work"
    data.mkdir()
    write_sets(data)
    run("templates.py", data, work)
    first = work / "chunks/chunk-0000.h5"
    before = first.stat().st_mtime_ns
    (work / "templates.h5").unlink()
    run("templates.py", data, work)
    if first.stat().st_mtime_ns != before:
        raise SystemExit("a chunk that was there was made again")
    with h5py.File(work / "templates.h5") as file, h5py.File(work / "galaxies.h5") as known:
        stamps, q = file["templates"][()].astype(float), file["axis_ratio"][()]
        once, names = len(known["row"]), known["dr7objid"][()]
    if once != 4 * N - 1 or (names == b"1000").sum() != 1:
        raise SystemExit(f"{once} galaxies of {4 * N - 1}")
    if len(stamps) < 2 * N or stamps.shape[1:] != (3, SIDE, SIDE) or not np.isfinite(q).all():
        raise SystemExit(f"templates are missing: {stamps.shape}")
    totals = stamps[:, 1].sum((1, 2))
    if np.abs(totals - 1).max() > 0.01:
        raise SystemExit(f"the flux is not 1: {totals}")
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    near = np.hypot(x, y) < HALF_LIGHT
    half = stamps[:, 1, near].sum(1)
    if np.abs(half - 0.5).max() > 0.03:
        raise SystemExit(f"half the light is not within {HALF_LIGHT} pixels: {half}")
    run("sheets.py", data, work, folder / "sheets")
    run("repeat.py", data, "--n", 4)
    run("seeing.py", data, "--n", 6)
    learn(data, work, folder)


if __name__ == "__main__":
    main()
