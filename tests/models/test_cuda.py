"""Models on a CUDA device give what they give on the CPU."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from astrodlkit import Cutouts, list_models, load_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.mark.parametrize("name", list_models(task="classify"))
def test_classes(name, draw):
    models = [load_model(name, device=device) for device in ("cuda", "cpu")]
    seen = models[0].card.input.bands
    bands = ("red", "green", "blue") if len(set(seen)) > 1 else seen[:1]
    cutouts = Cutouts(draw(6)[:, : len(bands)], bands=bands)
    found, wanted = (model.predict(cutouts, precision="float32") for model in models)
    for column in models[0].card.output.columns:
        if wanted[column].dtype.kind == "f":
            assert_allclose(found[column], wanted[column], atol=1e-3)
        else:
            assert np.array_equal(found[column], wanted[column])


@pytest.mark.parametrize("name", list_models(task="emulate"))
@pytest.mark.parametrize("shape", [(48, 48), (256, 256)])
def test_maps(name, shape):
    found, wanted = (
        load_model(name, device=device).sample(2, shape=shape, redshift=0.5, rng=1).data
        for device in ("cuda", "cpu")
    )
    assert_allclose(found, wanted, rtol=1e-3)
