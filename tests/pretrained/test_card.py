import copy
import json
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrodlkit.pretrained import Figure, Licence, ModelCard, Training, Weights
from astrodlkit.specs import Head, InputSpec, LuptonStretch, OutputSpec, Picture

text = st.text(min_size=1).filter(str.strip)
name = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
number = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(1e-6, 1e6)
count = st.integers(1, 2**60)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | number | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
three = st.tuples(positive, positive, positive)

cards = st.builds(
    ModelCard,
    name=name,
    tag=st.just("") | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,9}", fullmatch=True),
    title=text,
    task=st.just("classify"),
    architecture=text,
    options=st.dictionaries(st.text(), values, max_size=3),
    input=st.builds(
        InputSpec,
        bands=st.tuples(text, text, text),
        shape=st.tuples(st.integers(1, 512), st.integers(1, 512)),
        mean=three,
        std=three,
        stretch=st.builds(LuptonStretch, stretch=positive, Q=positive, scales=three)
        | st.builds(Picture, white=positive),
        width=st.none() | positive,
    ),
    output=st.builds(
        OutputSpec,
        heads=st.just(())
        | st.tuples(
            st.builds(
                Head,
                name=text,
                kind=st.just("classes"),
                labels=st.lists(text, min_size=1, max_size=4, unique=True).map(tuple),
            )
        ),
    ),
    weights=st.none()
    | st.builds(
        Weights,
        file=name.map("{}.safetensors".format),
        sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
        n_parameters=count,
        dtype=st.sampled_from(["float16", "bfloat16", "float32"]),
        bytes=count,
    ),
    training=st.none()
    | st.builds(
        Training,
        data=text,
        n_train=count,
        n_validation=count,
        split=text,
        seed=st.integers(),
        recipe=text,
        date=st.dates().map(str),
    ),
    figures=st.lists(
        st.builds(Figure, name=text, value=number, error=st.floats(0, 1e30), n=count, split=text),
        max_size=3,
    ),
    licence=st.none() | st.builds(Licence, weights=text, data=text),
    citations=st.lists(text, max_size=3),
    intended_use=st.text(),
    not_for=st.lists(text, max_size=3),
)


@given(cards)
def test_json_round_trip(card):
    assert ModelCard.from_json(card.to_json()) == card
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


@given(cards)
def test_every_card_can_be_described(card):
    lines = str(card).splitlines()
    assert all(len(line) <= 88 for line in lines)
    assert all(line.isprintable() for line in lines)
    assert card._repr_html_().count("<") == card._repr_html_().count(">")
    assert card.full_name in repr(card)


def test_equal_cards_are_one(card):
    twin = ModelCard.from_json(card.to_json())
    assert len({card, twin}) == 1
    assert pickle.loads(pickle.dumps(card)) == copy.deepcopy(card) == card  # noqa: S301


def test_a_card_stays_as_it_is(card):
    options = {"width": 4, "sizes": (1, 2)}
    other = replace(card, options=options)
    options["width"] = 5
    assert other.options == {"width": 4, "sizes": [1, 2]}
    with pytest.raises(FrozenInstanceError):
        card.name = "other"


def test_full_name(card):
    assert card.full_name == "tiny.v1"
    assert replace(card, tag="").full_name == "tiny"


def test_numbers_of_numpy_become_plain():
    figure = Figure(name="a", value=np.float32(0.5), error=0, n=np.int64(3), split="test")
    assert [type(figure.value), type(figure.error), type(figure.n)] == [float, float, int]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "../x", "name must be letters"),
        ("name", "a.b", "name must be letters"),
        ("name", "a\n", "name must be letters"),
        ("name", "", "name must not be empty"),
        ("name", 3, "name must be str, got 3"),
        ("tag", "a/b", "tag must be letters"),
        ("tag", None, "tag must be str"),
        ("title", " ", "title must not be empty"),
        ("task", "cook", "task must be one of classify, emulate, simulate, got 'cook'"),
        ("architecture", None, "architecture must be str"),
        ("options", [1], "options must be a mapping"),
        ("options", {"a": {1}}, "options must hold JSON types"),
        ("options", {"a": float("nan")}, "options must hold JSON types and finite"),
        ("input", None, "input must be InputSpec or a mapping, got None"),
        ("input", {"band": 1}, "input: InputSpec has unknown keys"),
        ("output", [], "output must be OutputSpec or a mapping"),
        ("output", {"heads": 5}, "output: "),
        ("output", None, "output must be OutputSpec or a mapping, got None"),
        ("maps", {"pixel": 2.0}, "maps: MapSpec has unknown keys .* lacks"),
        ("weights", "x", "weights must be Weights or a mapping"),
        ("training", {}, "training: Training has unknown keys .* lacks"),
        ("licence", {"weights": "MIT", "data": 1}, "licence: data must be str, got 1"),
        ("figures", "accuracy", "figures must be a list"),
        ("figures", [3], "figures must be Figure or a mapping, got 3"),
        ("citations", "Nobody 2026", "citations must be a list"),
        ("citations", [1], "citations must be a list of texts, got 1"),
        ("not_for", [""], "not_for must be a list of texts"),
        ("intended_use", 1, "intended_use must be str"),
    ],
)
def test_wrong_values_are_refused(card, key, value, message):
    with pytest.raises((TypeError, ValueError), match=message):
        replace(card, **{key: value})
    with pytest.raises((TypeError, ValueError)):
        ModelCard.from_dict({**card.to_dict(), key: value})


def test_numbers_that_are_not_finite_are_refused_anywhere(card):
    spec = replace(card.input, mean=(float("nan"), 0.0, 0.0))
    with pytest.raises(ValueError, match="finite numbers only"):
        replace(card, input=spec)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("file", "../tiny.safetensors", "bare name"),
        ("file", "a/tiny.safetensors", "bare name"),
        ("file", "a\\tiny.safetensors", "bare name"),
        ("file", "/etc/tiny.safetensors", "bare name"),
        ("file", ".tiny.safetensors", "bare name"),
        ("file", "tiny.safetensors\n", "bare name"),
        ("file", "tiny.bin", "bare name"),
        ("sha256", "0" * 63, "sha256 must be 64"),
        ("sha256", "A" * 64, "sha256 must be 64"),
        ("n_parameters", -1, "n_parameters must be at least 0"),
        ("n_parameters", True, "n_parameters must be int, got True"),
        ("n_parameters", 1.5, "n_parameters must be int, got 1.5"),
        ("dtype", "int8", "dtype must be one of float16"),
        ("bytes", 0, "bytes must be at least 1"),
    ],
)
def test_wrong_weights_records_are_refused(key, value, message):
    right = {
        "file": "tiny.safetensors",
        "sha256": "0" * 64,
        "n_parameters": 1,
        "dtype": "float16",
        "bytes": 1,
    }
    assert Weights(**right)
    with pytest.raises((TypeError, ValueError), match=message):
        Weights(**{**right, key: value})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("n_train", -1, "n_train must be at least 0"),
        ("n_validation", -1, "n_validation must be at least 0"),
        ("date", "yesterday", "date must be a day"),
        ("date", "20260131", "date must be a day"),
        ("seed", "1", "seed must be int"),
    ],
)
def test_wrong_training_records_are_refused(card, key, value, message):
    with pytest.raises((TypeError, ValueError), match=message):
        replace(card.training, **{key: value})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("value", float("nan"), "value must be finite"),
        ("value", "0.9", "value must be float"),
        ("error", -0.1, "error must be at least 0"),
        ("error", float("inf"), "error must be finite"),
        ("n", 0, "n must be at least 1"),
        ("split", "", "split must not be empty"),
    ],
)
def test_wrong_figures_are_refused(card, key, value, message):
    with pytest.raises((TypeError, ValueError), match=message):
        replace(card.figures[0], **{key: value})


def test_wrong_files_are_refused(card):
    values = card.to_dict()
    with pytest.raises(ValueError, match=r"unknown keys \['run'\]"):
        ModelCard.from_dict({**values, "run": "import os"})
    with pytest.raises(ValueError, match=r"lacks \['title'\]"):
        ModelCard.from_dict({key: values[key] for key in values if key != "title"})
    with pytest.raises(ValueError, match="format of the card must be 1, got 2; a newer card"):
        ModelCard.from_dict({**values, "format": 2})
    with pytest.raises(TypeError, match="a card must be a mapping, got list"):
        ModelCard.from_json("[]")
    with pytest.raises(ValueError, match="Expecting value"):
        ModelCard.from_json("import os")
    with pytest.raises(ValueError, match="nested too deeply"):
        ModelCard.from_json("[" * 1_000_000)
    twice = card.to_json().replace('"name"', '"name": "first", "name"', 1)
    with pytest.raises(ValueError, match="'name' stands twice"):
        ModelCard.from_json(twice)


@pytest.fixture
def emulator(card):
    """The card of an emulator."""
    values = {key: value for key, value in card.to_dict().items() if key not in ("input", "output")}
    domain = {"Om0": [0.1, 0.5], "sigma8": [0.6, 1], "redshift": [0, 2]}
    maps = {"pixel": 2, "box_size": 512, "thickness": 8, "domain": domain, "fixed": {"H0": 67.7}}
    return ModelCard.from_dict({**values, "task": "emulate", "maps": maps})


def test_the_card_of_an_emulator(emulator):
    assert emulator.input is None
    assert emulator.maps.domain["sigma8"] == (0.6, 1)
    assert ModelCard.from_json(emulator.to_json()) == emulator
    assert {"input", "output"}.isdisjoint(emulator.to_dict())
    assert "512 Mpc across, pixels of 2 Mpc, slabs of 8 Mpc (comoving)" in str(emulator)
    assert "sigma8 0.6 to 1" in str(emulator)
    assert "H0 = 67.7" in emulator._repr_html_()


def test_a_card_has_what_its_task_needs_and_no_more(card, emulator):
    assert "maps" not in card.to_dict()
    with pytest.raises(TypeError, match="maps must be MapSpec or a mapping, got None"):
        replace(emulator, maps=None)
    with pytest.raises(ValueError, match="input must be left out: a model for the task 'emulate'"):
        replace(emulator, input=card.input)
    with pytest.raises(ValueError, match="maps must be left out: a model for the task 'classify'"):
        replace(card, maps=emulator.maps)
