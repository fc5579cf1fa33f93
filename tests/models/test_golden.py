"""
The numbers of each weight file, as they were when it was made.

With the environment variable ASTRODLKIT_WRITE_GOLDEN the files are written.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from astrodlkit import Cutouts, list_models, load_model

FOLDER = Path(__file__).parent / "golden"


@pytest.fixture(params=["float32", "float64"], autouse=True)
def default_dtype(request):
    """Of torch: numbers do not depend on it."""
    if request.param == "float64":
        request.getfixturevalue("double_default")


def measure(name: str, pictures: np.ndarray) -> dict[str, list[float]]:
    """The columns of numbers, in fp32."""
    model = load_model(name, device="cpu")
    seen = model.card.input.bands
    bands = ("red", "green", "blue") if len(set(seen)) > 1 else seen[:1]
    cutouts = Cutouts(pictures[:, : len(bands)], bands=bands)
    result = model.predict(cutouts, precision="float32")
    return {
        column: [round(float(value), 5) for value in result[column]]
        for column in model.card.output.columns
        if result[column].dtype.kind == "f"
    }


def density(name: str) -> dict[str, list[float]]:
    """Some pixels of a small map."""
    maps = load_model(name, device="cpu").sample(1, shape=(32, 32), redshift=0.5, rng=1)
    return {"density": [round(float(value), 5) for value in maps.data[0, ::4, ::4].ravel()]}


def templates(name: str) -> dict[str, list[float]]:
    """Some pixels of two galaxies, in parts per million of their flux in r."""
    network = load_model(name, device="cpu").module
    nothing = torch.full((2, len(network.condition_names)), torch.nan)
    conditions = network.complete(nothing, torch.tensor([[0.2], [0.7]]))
    generator = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        latent = torch.randn(2, network.n_latent, generator=generator, dtype=torch.float32)
        light = network(latent, conditions)
    return {"templates": [round(1e6 * float(x), 2) for x in light[..., 5::10, 5::10].ravel()]}


@pytest.mark.parametrize("name", list_models(task="classify"))
def test_golden(name, draw):
    compare(name, measure(name, draw(6)), 1e-3)


@pytest.mark.parametrize("name", list_models(task="emulate"))
def test_golden_maps(name):
    compare(name, density(name), 1e-2)


@pytest.mark.parametrize("name", list_models(task="simulate"))
def test_golden_templates(name):
    compare(name, templates(name), 1)


def compare(name: str, measured: dict[str, list[float]], atol: float) -> None:
    """With what is kept."""
    path = FOLDER / f"{name}.json"
    if "ASTRODLKIT_WRITE_GOLDEN" in os.environ:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(measured, indent=1) + "\n")
    expected = json.loads(path.read_text())
    assert list(measured) == list(expected)
    for column, values in expected.items():
        assert_allclose(measured[column], values, rtol=0, atol=atol, err_msg=column)
