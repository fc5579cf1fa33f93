"""A sky of noise, a catalogue in it and a small network: what long runs are measured on."""

from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
import torch
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from astrodlkit import CutoutClassifier, ModelCard
from astrodlkit.cutouts import index_images
from astrodlkit.networks import build
from astrodlkit.specs import Head, InputSpec, LuptonStretch, OutputSpec

SCALE = 0.396


def make_sky(folder: Path, n: int, side: int = 1024) -> pd.DataFrame:
    """Sixteen tiles in three bands, their index, and n sources sorted by tile, if 16 divides n."""
    rng = np.random.default_rng(1)
    frames = []
    for tile in range(16):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crpix = [side / 2, side / 2]
        wcs.wcs.crval = np.array([150.0, 2.0]) + np.divmod(tile, 4) * np.array(side * SCALE / 3600)
        wcs.wcs.cdelt = [-SCALE / 3600, SCALE / 3600]
        for band in "gri":
            header = wcs.to_header()
            header["BUNIT"], header["FILTER"] = "nmgy", band
            values = rng.normal(0.01, 0.02, (side, side)).astype("f4")
            fits.writeto(folder / f"{tile}{band}.fits", values, header)
        sky = wcs.pixel_to_world(*rng.uniform(60, side - 60, (2, n // 16)))
        frames.append(pd.DataFrame({"ra": sky.ra.deg, "dec": sky.dec.deg}))
    index_images(folder).write(folder / "tiles.parquet")
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(petroR90=rng.uniform(3, 9, len(frame)))


def save_small_model(folder: Path) -> Path:
    """A network that costs next to nothing, in a folder."""
    options = {
        "backbone": "test_efficientnet",
        "heads": [{"name": "class", "kind": "classes", "n": 3}],
    }
    torch.manual_seed(1)
    card = ModelCard(
        name="small",
        title="A network of random numbers",
        task="classify",
        architecture="heads",
        options=options,
        input=InputSpec(
            bands=("i", "r", "g"),
            shape=(32, 32),
            mean=(0.2, 0.2, 0.2),
            std=(0.2, 0.2, 0.2),
            stretch=LuptonStretch(stretch=0.5, Q=5.0),
            width=4.24,
        ),
        output=OutputSpec(
            heads=(Head(name="class", kind="classes", labels=("round", "disc", "star")),)
        ),
    )
    CutoutClassifier(card, build("heads", **options), device="cpu").save(folder)
    return folder


def write_rows(folder: Path, frame: pd.DataFrame, n: int) -> None:
    """Make a catalogue of n rows."""
    rows = frame.iloc[np.linspace(0, len(frame) - 1, n).astype(int)]
    table = QTable.from_pandas(rows)
    table["petroR90"].unit = u.arcsec
    table.write(folder / f"{n}.parquet", overwrite=True)
