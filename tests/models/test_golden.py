"""
The numbers of each weight file on the drawn galaxies, as they were when it was made.

With the environment variable ASTRODLKIT_WRITE_GOLDEN the files are written.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from astrodlkit import Cutouts, list_models, load_model

FOLDER = Path(__file__).parent / "golden"


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


@pytest.mark.parametrize("name", list_models(task="classify"))
def test_golden(name, draw):
    measured = measure(name, draw(6))
    path = FOLDER / f"{name}.json"
    if "ASTRODLKIT_WRITE_GOLDEN" in os.environ:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(measured, indent=1) + "\n")
    expected = json.loads(path.read_text())
    assert list(measured) == list(expected)
    for column, values in expected.items():
        assert_allclose(measured[column], values, rtol=0, atol=1e-3, err_msg=column)
