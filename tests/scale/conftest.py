"""Small models in folders, a sky in tiles, the catalogue of its sources, and worker processes."""

import os
import signal
from contextlib import contextmanager
from time import monotonic, sleep

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from astrodlkit import CutoutClassifier, ModelCard
from astrodlkit.cutouts import index_images
from astrodlkit.networks import build
from astrodlkit.specs import Head, InputSpec, LuptonStretch, OutputSpec

HEADS = (
    Head(name="class", kind="classes", labels=("round", "disc", "star")),
    Head(
        name="sizes",
        kind="numbers",
        labels=("radius", "ratio"),
        descriptions=("half-light radius", "minor over major axis"),
        units=("arcsec", ""),
    ),
)
N, PATIENCE = 60, 600


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Folder of a network that was never trained."""
    folder = tmp_path_factory.mktemp("model")
    options = {
        "backbone": "test_efficientnet",
        "heads": [
            {"name": "class", "kind": "classes", "n": 3},
            {"name": "sizes", "kind": "numbers", "n": 2},
        ],
    }
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = build("heads", **options)
        for layer in module.layers:
            # Wide enough for the answers to differ from source to source.
            torch.nn.init.normal_(layer.weight, std=0.5)
    card = ModelCard(
        name="small",
        tag="v1",
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
        output=OutputSpec(heads=HEADS),
    )
    CutoutClassifier(card, module, device="cpu").save(folder)
    return folder


def tan(x0=0, y0=0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt = (150.0, 2.0), (-0.01, 0.01)
    wcs.wcs.crpix = 201 - x0, 201 - y0
    return wcs


@pytest.fixture(scope="session")
def tiles(tmp_path_factory):
    """Index of three bands of four degrees of noise, as four overlapping tiles each."""
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(8)
    image = rng.normal(800, 800, (400, 400))
    for name, (x0, y0) in {"a": (0, 0), "b": (140, 0), "c": (0, 140), "d": (140, 140)}.items():
        for k, band in enumerate("gri"):
            header = tan(x0, y0).to_header()
            header["FILTER"], header["BUNIT"] = band, "nmgy"
            part = (k + 1) * image[y0 : y0 + 260, x0 : x0 + 260]
            fits.writeto(folder / f"{name}-{band}.fits", part.astype("f4"), header)
    path = folder / "tiles.parquet"
    index_images(folder).write(path)
    return path


@pytest.fixture(scope="session")
def sources():
    """Positions in the sky, one off it, and sizes, one missing."""
    rng = np.random.default_rng(9)
    sky = tan().pixel_to_world(*rng.uniform(20, 380, (2, N)))
    table = QTable(
        {
            "id": np.arange(N) * 10,
            "ra": sky.ra,
            "dec": sky.dec,
            "half_light_radius": rng.uniform(72, 144, N).astype("f4") * u.arcsec,
        }
    )
    table["ra"][7] = 10 * u.deg
    table["half_light_radius"][11] = np.nan
    return table


@pytest.fixture(scope="session")
def frame(sources):
    """The same as pandas holds it: without units."""
    import pandas as pd

    columns = {name: getattr(sources[name], "value", sources[name]) for name in sources.colnames}
    return pd.DataFrame(columns | {"name": [f"source {i}" for i in range(N)]})


@contextmanager
def workers(n, threads):
    """Processes on this machine."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=n, threads_per_worker=threads, processes=True, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def client():
    """Two worker processes of one thread."""
    with workers(2, 1) as client:
        yield client


@pytest.fixture
def several():
    """One worker process of three threads."""
    with workers(1, 3) as client:
        yield client


@pytest.fixture
def compute_and_kill(client):
    """Compute a thing's partitions, and kill a worker when some are done."""

    def compute(lazy, after):
        futures = client.compute(lazy.to_delayed())
        end = monotonic() + PATIENCE
        while sum(future.done() for future in futures) < after:
            assert monotonic() < end
            sleep(0.01)
        # The one that has most to lose.
        has = client.has_what()
        address = max(has, key=lambda each: len(has[each]))
        assert has[address]
        victim = client.run(os.getpid, workers=[address])[address]
        os.kill(victim, signal.SIGKILL)
        assert not all(future.done() for future in futures)
        results = [future.result(timeout=PATIENCE) for future in futures]
        assert victim not in client.run(os.getpid).values()
        return results

    return compute
