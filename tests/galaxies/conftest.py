"""A network that has learned nothing: its templates are Sersic profiles."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.table import QTable

from astrodlkit.galaxies import GalaxySimulator
from astrodlkit.networks import build
from astrodlkit.pretrained import ModelCard, save_model
from astrodlkit.specs import TemplateSpec

DOMAIN = {
    "class_completely_round": (0, 1),
    "class_in_between": (0, 1),
    "class_cigar_shaped": (0, 1),
    "class_edge_on": (0, 1),
    "class_spiral": (0, 1),
    "axis_ratio": (0.15, 1),
    "sersic_index": (0.5, 5),
    "g_r": (0, 1.2),
    "r_i": (-0.1, 0.6),
    "psf_fwhm": (0.1, 0.8),
}


@pytest.fixture(scope="session")
def card():
    return ModelCard(
        name="profiles",
        tag="v1",
        title="Sersic profiles",
        task="simulate",
        architecture="galaxy-templates",
        options={
            "condition_names": list(DOMAIN),
            "widths": [8, 8, 8, 8],
            "n_global": 8,
            "n_local": 1,
            "n_table": 256,
        },
        templates=TemplateSpec(
            side=80,
            half_light=9.0,
            bands=("g", "r", "i"),
            reference="r",
            psf_fwhm=0.4,
            psf_fwhm_95=0.8,
            domain=DOMAIN,
        ),
    )


def _network(card):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = build(card.architecture, **card.options)
    rng = np.random.default_rng(1)
    low, high = np.array(list(DOMAIN.values())).T
    rows = rng.uniform(low, high, (2000, len(DOMAIN)))
    rows[:, :5] = rng.dirichlet(np.ones(5), 2000)
    network.deck.fit(torch.from_numpy(rows.astype(np.float32)))
    return network.eval()


@pytest.fixture(scope="session")
def profiles(card):
    """Templates are smooth: the size, axis ratio and Sersic index are all there is."""
    return GalaxySimulator(card, _network(card), device="cpu")


@pytest.fixture(scope="session")
def folder(card, tmp_path_factory):
    """A saved model whose latent variables do something."""
    network = _network(card)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(2)
        for parameter in (*network.decoder.leave.parameters(), *network.flow.parameters()):
            parameter.normal_(std=0.2)
    folder = tmp_path_factory.mktemp("profiles")
    save_model(folder, card, network, dtype="float32")
    return folder


@pytest.fixture(scope="session")
def lively(folder):
    """Templates of which no two are the same."""
    from astrodlkit import load_model

    return load_model(folder, device="cpu")


@pytest.fixture
def table():
    """Five galaxies of all kinds."""
    return QTable(
        {
            "flux": [1000.0, 20.0, 300.0, 1.0, 50.0] * u.nJy,
            "half_light_radius": [0.8, 0.4, 1.2, 0.3, 0.6] * u.arcsec,
            "axis_ratio": [0.9, 0.5, 0.3, 1.0, 0.7],
            "position_angle": [10.0, 60.0, -45.0, 0.0, 170.0] * u.deg,
        }
    )


@pytest.fixture
def options():
    """How stamps are drawn in most tests."""
    return {"psf": 0.7 * u.arcsec, "pixel_scale": 0.2 * u.arcsec, "shape": 48, "rng": 3}


@pytest.fixture(scope="session")
def moments():
    """Give centroid and second moments of an image in pixels, from the middle."""
    return _moments


def _moments(image):
    y, x = np.indices(image.shape) - (np.array(image.shape)[:, None, None] - 1) / 2
    light = np.asarray(image, float)
    total = light.sum()
    mx, my = (light * x).sum() / total, (light * y).sum() / total
    dx, dy = x - mx, y - my
    xx, yy, xy = (float((light * m).sum() / total) for m in (dx * dx, dy * dy, dx * dy))
    major = np.hypot(xx - yy, 2 * xy)
    return SimpleNamespace(
        x=mx,
        y=my,
        axis_ratio=np.sqrt((xx + yy - major) / (xx + yy + major)),
        angle=np.degrees(np.arctan2(2 * xy, xx - yy) / 2),
        size=np.sqrt((xx + yy) / 2),
    )
