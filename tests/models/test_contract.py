"""What every bundled model does, whatever it is: one contract, run over the registry."""

import numpy as np
import pytest
from astropy.table import QTable, vstack
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Cutouts, classify_cutouts, list_models, load_model
from astrodlkit.engine import BFLOAT16_TOLERANCE

every_classifier = pytest.mark.parametrize("name", list_models(task="classify"))
BANDS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def model():
    """Each model once."""
    loaded = {}

    def get(name):
        return loaded.setdefault(name, load_model(name, device="cpu"))

    return get


@pytest.fixture(scope="module")
def table(draw):
    return QTable({"id": np.arange(12), "cutout": draw(12)}, meta={"bands": BANDS})


def numbers(result, model):
    """All columns of numbers, shape (n, k)."""
    columns = [name for name in model.card.output.columns if result[name].dtype.kind == "f"]
    return np.stack([result[name] for name in columns], axis=1)


@every_classifier
def test_all_columns_and_rows(name, model, table):
    result = classify_cutouts(table, model=model(name), bands=BANDS)
    assert result.colnames == ["id", "cutout", *model(name).card.output.columns, "flags"]
    assert_array_equal(result["id"], table["id"])
    values = numbers(result, model(name))
    assert ((values >= 0) & (values <= 1)).all()
    assert result.meta["astrodlkit"]["sha256"] == model(name).card.weights.sha256


@every_classifier
@settings(max_examples=5)
@given(batch_size=st.integers(1, 13), seed=st.integers(0, 1000))
def test_a_row_depends_on_its_pixels_alone(name, model, table, batch_size, seed):
    whole = model(name).predict(table, bands=BANDS, precision="float32")
    order = np.random.default_rng(seed).permutation(len(table))[:7]
    part = model(name).predict(
        table[order], bands=BANDS, precision="float32", batch_size=batch_size
    )
    assert_allclose(
        numbers(part, model(name)), numbers(whole, model(name))[order], rtol=0, atol=1e-5
    )
    assert_array_equal(part["class"], whole["class"][order])


@every_classifier
def test_bfloat16_is_only_taken_where_it_agrees(name, model, table):
    exact = model(name).predict(table, bands=BANDS, precision="float32")
    chosen = model(name).predict(table, bands=BANDS, precision="auto")
    assert_allclose(
        numbers(chosen, model(name)),
        numbers(exact, model(name)),
        rtol=0,
        # It is judged on other pictures than these.
        atol=5 * BFLOAT16_TOLERANCE,
    )
    # Input that is not standardised is where bf16 goes wrong by more than its rounding.
    rounded = model(name).predict(table, bands=BANDS, precision="bfloat16")
    assert_allclose(numbers(rounded, model(name)), numbers(exact, model(name)), rtol=0, atol=0.05)


@every_classifier
def test_views_agree_on_a_turned_picture(name, model, table):
    turned = table.copy()
    turned["cutout"] = np.rot90(table["cutout"], axes=(2, 3))
    options = {"bands": BANDS, "precision": "float32", "views": 8}
    one = model(name).predict(table, **options)
    other = model(name).predict(turned, **options)
    assert_allclose(numbers(one, model(name)), numbers(other, model(name)), rtol=0, atol=1e-5)


@every_classifier
def test_save_and_load(name, model, table, tmp_path):
    model(name).save(tmp_path / "saved")
    again = load_model(tmp_path / "saved", device="cpu")
    one = model(name).predict(table, bands=BANDS, precision="float32")
    other = again.predict(table, bands=BANDS, precision="float32")
    assert_allclose(numbers(one, model(name)), numbers(other, again), rtol=0, atol=1e-6)


@every_classifier
def test_empty_table_has_the_columns_and_types_of_a_full_one(name, model, table):
    full = model(name).predict(table, bands=BANDS)
    empty = model(name).predict(table[:0], bands=BANDS)
    assert len(empty) == 0
    assert empty.colnames == full.colnames
    for column in model(name).card.output.columns:
        assert empty[column].dtype == full[column].dtype
    assert len(vstack([empty, full], metadata_conflicts="silent")) == len(full)


@every_classifier
def test_stream_and_features(name, model, table):
    features = model(name).embed(table, bands=BANDS)
    assert features.shape[0] == len(table)
    assert np.isfinite(features).all()
    parts = list(model(name).stream(table, bands=BANDS, batch_size=5))
    assert [len(part) for part in parts] == [5, 5, 2]


@every_classifier
def test_unusable_rows_have_no_result(name, model, draw):
    pictures = draw(2).astype(np.float32)
    pictures[1] = np.nan
    result = model(name).predict(Cutouts(pictures, bands=BANDS))
    values = numbers(result, model(name))
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1]).all()
    assert result["class"][1] == ""
