"""Networks that give lognormal maps, with and without something random on top."""

import math
from dataclasses import replace

import pytest
import torch

from astrodlkit.cosmicweb import DensityMapEmulator
from astrodlkit.networks import build
from astrodlkit.pretrained import ModelCard, save_model
from astrodlkit.specs import MapSpec

PIXEL, SIGMA = 2.0, 0.8


@pytest.fixture(scope="session")
def card():
    return ModelCard(
        name="web",
        tag="v1",
        title="Lognormal maps",
        task="emulate",
        architecture="density-maps",
        options={"pixel": PIXEL, "widths": [8, 8]},
        maps=MapSpec(
            pixel=PIXEL,
            box_size=128,
            thickness=8,
            domain={"Om0": (0.15, 0.5), "sigma8": (0.6, 1.0), "redshift": (0, 2)},
            fixed={
                "H0": 67.66,
                "Ob0": 0.04897,
                "Tcmb0": 2.7255,
                "Neff": 3.046,
                "m_nu": 0,
                "n_s": 0.9665,
            },
        ),
    )


def lognormal(card):
    """A network whose maps are the exponential of a Gaussian field of deviation SIGMA."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = build(card.architecture, **card.options)
    first, last, n = network.log_k
    shape = torch.tensor([4.0]).neg() * torch.linspace(first, last, n).exp()
    network.spectrum[0] = shape
    waves = network.at_wave_numbers(network.spectrum, torch.ones(1, 3), (64, 64))
    # A square of 64 pixels has the variance 1; of rfft2's modes nearly all count twice.
    twice = torch.full((33,), 2.0)
    twice[[0, -1]] = 1
    network.spectrum[0] -= ((waves.exp() * twice).sum() / 64**2 / PIXEL**2).log()
    network.distribution[0] = SIGMA * torch.linspace(*network.values)
    # Denser in time, as the second condition, sigma8 at the redshift, grows.
    network.distribution[2] = 0.3 * network.distribution[0]
    network.centre[1] = math.log(0.8)
    return network.eval()


@pytest.fixture(scope="session")
def plain(card):
    """Lognormal maps."""
    return DensityMapEmulator(card, lognormal(card), device="cpu")


@pytest.fixture(scope="session")
def folder(card, tmp_path_factory):
    """A saved model in which all of the noise counts."""
    network = lognormal(card)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(2)
        for parameter in network.network.leave.parameters():
            parameter.normal_(std=0.05)
    folder = tmp_path_factory.mktemp("web")
    save_model(folder, replace(card), network, dtype="float32")
    return folder
