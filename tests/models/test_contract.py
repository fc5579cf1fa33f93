"""What every bundled model does, whatever it is: one contract, run over the registry."""

import numpy as np
import pytest
import torch
from astropy.table import QTable, vstack
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Cutouts, classify_cutouts, list_models, load_model
from astrodlkit.classify._probe import difference_in_errors
from astrodlkit.engine import BFLOAT16_TOLERANCE, run_batches

every_classifier = pytest.mark.parametrize("name", list_models(task="classify"))


def bands(model):
    """Those of a colour picture; the one band of a model that sees one."""
    seen = model.card.input.bands
    return ("red", "green", "blue") if len(set(seen)) > 1 else seen[:1]


def stamps(model, pictures):
    """Pictures in these bands."""
    return Cutouts(pictures[:, : len(bands(model))], bands=bands(model))


@pytest.fixture(scope="module")
def model():
    """Each model once."""
    loaded = {}

    def get(name):
        return loaded.setdefault(name, load_model(name, device="cpu"))

    return get


@pytest.fixture(scope="module")
def table(draw):
    """Rows for a model."""

    def get(model):
        return QTable({"id": np.arange(12), "cutout": stamps(model, draw(12)).data})

    return get


def numbers(result, model):
    """All columns of numbers, shape (n, k)."""
    columns = [name for name in model.card.output.columns if result[name].dtype.kind == "f"]
    return np.stack([result[name] for name in columns], axis=1)


def texts(model):
    """Columns of names."""
    heads = model.card.output.heads
    return [head.name for head in heads if head.kind == "classes"]


def answers(classifier, images, precision):
    """The numbers of each head, as they are computed for a table."""
    network = classifier.copies.get(classifier.module, precision)
    return run_batches(
        network, images, batch_size=32, device=classifier.device, precision=precision
    )


@every_classifier
def test_all_columns_and_rows(name, model, table):
    rows = table(model(name))
    result = classify_cutouts(rows, model=model(name), bands=bands(model(name)))
    assert result.colnames == ["id", "cutout", *model(name).card.output.columns, "flags"]
    assert_array_equal(result["id"], rows["id"])
    assert np.isfinite(numbers(result, model(name))).all()
    for head in model(name).card.output.heads:
        if head.kind == "fractions":
            for label in head.labels:
                assert ((result[label] >= 0) & (result[label] <= 1)).all()
        elif head.kind == "numbers":
            for label in head.labels:
                assert (result[f"{label}_error"] > 0).all()
        else:
            assert set(result[head.name]) <= set(head.labels)
            probability = result[f"{head.name}_probability"]
            assert ((probability > 0) & (probability <= 1)).all()
    assert result.meta["astrodlkit"]["sha256"] == model(name).card.weights.sha256


@every_classifier
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@settings(max_examples=5)
@given(data=st.data())
def test_a_row_depends_on_its_pixels_alone(name, model, table, precision, data):
    rows = table(model(name))
    options = {"bands": bands(model(name)), "precision": precision}
    whole = model(name).predict(rows, **options)
    order = data.draw(st.permutations(range(len(rows))))[:7]
    batch_size = data.draw(st.integers(1, 13))
    part = model(name).predict(rows[order], batch_size=batch_size, **options)
    found, expected = numbers(part, model(name)), numbers(whole, model(name))[order]
    assert_allclose(found, expected, rtol=1e-5, atol=3e-5)
    for column in texts(model(name)):
        assert_array_equal(part[column], whole[column][order])


@every_classifier
def test_float32_is_the_network_itself(name, model, draw):
    classifier = model(name)
    images, _ = classifier.card.input.prepare(stamps(classifier, draw(12)))
    with torch.inference_mode():
        exact = classifier.module(torch.from_numpy(images))
    found = answers(classifier, images, "float32")
    assert list(found) == list(exact)
    for head, values in found.items():
        assert_allclose(values, exact[head], rtol=1e-4, atol=1e-5)


@every_classifier
def test_bfloat16_differs_by_less_than_the_models_error(name, model, draw):
    # Input that is not standardised is where bf16 goes wrong by more than its rounding.
    classifier = model(name)
    images, _ = classifier.card.input.prepare(stamps(classifier, draw(20)))
    exact, rounded = (answers(classifier, images, p) for p in ("float32", "bfloat16"))
    # These galaxies are others than those on which "auto" decides.
    assert 0 < difference_in_errors(exact, rounded, classifier.card.output) < 2 * BFLOAT16_TOLERANCE
    for head in classifier.card.output.heads:
        change = np.abs(rounded[head.name] - exact[head.name])
        if head.kind == "numbers":
            assert (change[..., 0] < exact[head.name][..., 1]).all()
        else:
            assert change.max() < 0.15


@every_classifier
def test_bfloat16_is_only_taken_where_it_agrees(name, model, table, monkeypatch):
    rows = table(model(name))
    monkeypatch.setattr("astrodlkit.engine._device._has_bfloat16", lambda device: True)
    taken = model(name).predict(rows, bands=bands(model(name))).meta["astrodlkit"]["precision"]
    agrees = model(name).bfloat16_difference < BFLOAT16_TOLERANCE
    assert taken == ("bfloat16" if agrees else "float32")


@every_classifier
def test_views_agree_on_a_turned_picture(name, model, table):
    rows = table(model(name))
    turned = rows.copy()
    turned["cutout"] = np.rot90(rows["cutout"], axes=(2, 3))
    views = 8 if model(name).card.input.mirror else 4
    options = {"bands": bands(model(name)), "precision": "float32", "views": views}
    one = model(name).predict(rows, **options)
    other = model(name).predict(turned, **options)
    found, expected = numbers(other, model(name)), numbers(one, model(name))
    assert_allclose(found, expected, rtol=1e-5, atol=3e-5)


@every_classifier
def test_save_and_load(name, model, table, tmp_path):
    rows = table(model(name))
    model(name).save(tmp_path / "saved")
    again = load_model(tmp_path / "saved", device="cpu")
    one = model(name).predict(rows, bands=bands(model(name)), precision="float32")
    other = again.predict(rows, bands=bands(model(name)), precision="float32")
    assert_allclose(numbers(one, model(name)), numbers(other, again), rtol=0, atol=1e-6)


@every_classifier
def test_empty_table_has_the_columns_and_types_of_a_full_one(name, model, table):
    rows = table(model(name))
    full = model(name).predict(rows, bands=bands(model(name)))
    empty = model(name).predict(rows[:0], bands=bands(model(name)))
    assert len(empty) == 0
    assert empty.colnames == full.colnames
    for column in model(name).card.output.columns:
        assert empty[column].dtype == full[column].dtype
    assert len(vstack([empty, full], metadata_conflicts="silent")) == len(full)


@every_classifier
def test_stream_and_features(name, model, table):
    rows = table(model(name))
    features = model(name).embed(rows, bands=bands(model(name)))
    assert features.shape[0] == len(rows)
    assert np.isfinite(features).all()
    parts = list(model(name).stream(rows, bands=bands(model(name)), batch_size=5))
    assert [len(part) for part in parts] == [5, 5, 2]


@every_classifier
def test_unusable_rows_have_no_result(name, model, draw):
    pictures = draw(2).astype(np.float32)
    pictures[1] = np.nan
    result = model(name).predict(stamps(model(name), pictures))
    values = numbers(result, model(name))
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1]).all()
    for column in texts(model(name)):
        assert result[column][1] == ""
