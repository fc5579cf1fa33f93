"""Calibration: checks, arithmetic, and the columns that follow from it."""

import json
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit.specs import Calibration, Head, OutputSpec

CLASSES = Calibration(n=100, temperature=2.0, knots=(0.5, 1.0), widths=((0.1, 0.02),))
VOTES = Calibration(
    n=90, knots=(0, 1), widths=((0.1, 0.3), (0.2, 0.6)), factors=((1.0, 0.5), (1.0, 2.0))
)
NUMBERS = Calibration(n=80, factors=((0.9,), (2.1,)))
CURVES = Calibration(
    n=80,
    knots=((-1.0, 3.0), (0.0,)),
    widths=(((1.0, 3.0), (0.5,)), ((2.0, 4.0), (1.5,))),
    factors=((1.0, 2.0), (1.0, 1.0)),
)
HEADS = {
    "votes": Head(name="votes", kind="fractions", labels=("bar", "ring"), calibration=VOTES),
    "kind": Head(name="kind", kind="classes", labels=("star", "galaxy"), calibration=CLASSES),
    "size": Head(
        name="size", kind="numbers", labels=("radius",), units=("arcsec",), calibration=NUMBERS
    ),
}
OUTPUT = OutputSpec(heads=tuple(HEADS.values()))
OUTPUTS = {
    "votes": np.array([[0.0, 0.5], [np.nan, np.nan]]),
    "kind": np.array([[0.9, 0.1], [np.nan, np.nan]]),
    "size": np.array([[[3.0, 0.5]], [[np.nan, np.nan]]]),
}


def test_table():
    table = OUTPUT.tabulate(OUTPUTS, interval=0.95)
    assert table.colnames == [
        *("bar", "ring", "bar_error", "ring_error"),
        *("bar_low", "ring_low", "bar_high", "ring_high"),
        *("class", "class_probability", "class_probability_error"),
        *("radius", "radius_error", "radius_low", "radius_high"),
    ]
    row = table[0]
    assert row["ring_error"] == pytest.approx(0.1)
    assert (row["ring_low"], row["ring_high"]) == (0, 1)
    assert (row["bar_low"], row["bar_high"]) == (0, pytest.approx(0.2))
    assert row["class_probability"] == pytest.approx(0.75)
    assert row["class_probability_error"] == pytest.approx(0.06)
    assert_allclose(row["radius_error"].to_value("mas"), 450)
    assert_allclose(u.Quantity([row["radius_low"], row["radius_high"]]).value, [1.95, 4.05])
    for name in table.colnames:
        assert table[name].info.description or name in {"bar", "ring", "radius"}
        if name != "class":
            assert table[name].dtype == np.float32
            assert np.isnan(table[name][1])


def test_numbers_without_a_unit_are_plain_columns():
    head = Head(name="size", kind="numbers", labels=("a", "b"), units=("", "kpc"))
    table = head.tabulate(np.ones((1, 2, 2)))
    assert list(table) == ["a", "b"]
    assert not isinstance(table["a"], u.Quantity)
    assert table["b"].unit == u.kpc


def test_spread_is_that_of_the_class_that_is_given():
    spread = np.array([[0.25, 0.5]])
    columns = HEADS["kind"].tabulate([[0.2, 0.8]], spread)
    assert columns["class_probability_spread"][0] == 0.5
    columns = HEADS["size"].tabulate([[[1.0, 1.0]]], [[0.125]])
    assert columns["radius_spread"].value[0] == 0.125


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("interval", [None, 0.68])
def test_no_rows_have_all_columns_and_types(spread, interval):
    spreads = {f"{name}_spread": np.ones((2, len(h.labels))) for name, h in HEADS.items()}
    outputs = OUTPUTS | spreads if spread else OUTPUTS
    full = OUTPUT.tabulate(outputs, interval=interval)
    empty = OUTPUT.tabulate({k: v[:0] for k, v in outputs.items()}, interval=interval)
    assert tuple(empty.colnames) == OUTPUT.column_names(spread=spread, interval=interval)
    assert empty.dtype == full.dtype


def test_a_temperature_keeps_the_order():
    values = np.random.default_rng(0).dirichlet(np.ones(5), 50)
    softened = CLASSES.soften(values)
    assert_allclose(softened.sum(axis=1), 1)
    assert_array_equal(np.argsort(softened), np.argsort(values))
    assert_allclose(replace(CLASSES, temperature=1.0).soften(values), values)
    assert np.isfinite(CLASSES.soften(np.array([[1.0, 0.0]]))).all()


@given(
    knots=st.lists(st.integers(0, 20), min_size=1, max_size=6, unique=True).map(sorted),
    data=st.data(),
)
def test_widths_are_interpolated(knots, data):
    knots = tuple(knot / 20 for knot in knots)
    row = st.tuples(*[st.floats(0, 1)] * len(knots))
    widths = data.draw(row), data.draw(row)
    calibration = Calibration(n=9, knots=knots, widths=widths, factors=((2.0,), (0.5,)))
    values = np.array([*np.linspace(-0.1, 1.1, 50), np.nan])
    for level, factor, width in zip((0.68, 0.95), (2, 0.5), widths, strict=True):
        found = calibration.half_widths(values, level, 0)
        assert found.dtype == np.float32
        assert_allclose(found[:-1], factor * np.interp(values[:-1], knots, width), atol=1e-5)
        assert np.isnan(found[-1])
    errors = Calibration(n=9, knots=knots, widths=widths[:1]).probability_errors(values)
    assert_allclose(errors[:-1], np.interp(values[:-1], knots, widths[0]), atol=1e-5)
    assert np.isnan(errors[-1])


def test_numbers_have_curves_of_their_own():
    head = Head(name="sizes", kind="numbers", labels=("a", "b"), calibration=CURVES)
    values = np.array([[[1.0, 0.5], [9.0, 3.0]], [[np.nan, np.nan]] * 2, [[-5.0, 2.0]] * 2])
    table = head.tabulate(values, interval=0.95)
    assert_allclose(table["a_error"], [2 * 0.5, np.nan, 1 * 2], rtol=1e-6)
    assert_allclose(table["b_error"], [2 * 0.5 * 3, np.nan, 2 * 0.5 * 2], rtol=1e-6)
    assert_allclose(table["a_high"] - table["a"], [3 * 0.5, np.nan, 2 * 2], rtol=1e-6)
    assert table["a_error"].dtype == np.float32


def test_steep_curves_are_as_in_float64():
    rng = np.random.default_rng(0)
    knots = np.cumsum([0, 1e-4, 1e-4, 1e-3, 1e-2, 0.1, 0.9])
    widths = rng.uniform(0.1, 9, 7)
    calibration = Calibration(
        n=9,
        knots=(tuple(knots),),
        widths=((tuple(widths),),) * 2,
        factors=((1.0,), (1.0,)),
    )
    values = rng.uniform(0, 1, 1000).astype(np.float32) ** 4
    found = calibration.half_widths(values, 0.68, 0, np.full(1000, 2, np.float32))
    assert_allclose(found, 2 * np.interp(values, knots, widths), rtol=0, atol=0.02)


def test_mean():
    plain = Calibration(n=50, factors=((2.0, 1.0), (1.0, 1.0)))
    other = replace(CURVES, knots=((1.0,), (0.0,)), widths=(((4.0,), (0.5,)), ((4.0,), (1.5,))))
    both = Calibration.mean([CURVES, other])
    assert both.knots == CURVES.knots
    assert both.widths == (((2.5, 3.5), (0.5,)), ((3.0, 4.0), (1.5,)))
    assert Calibration.mean([CURVES]) == CURVES
    assert Calibration.mean([plain, plain]) == plain
    mixed = Calibration.mean([plain, CURVES])
    assert (mixed.n, mixed.knots) == (50, CURVES.knots)
    assert mixed.widths[0] == ((1.0, 2.0), (0.75,))
    assert mixed.factors == ((1.5, 1.5), (1.0, 1.0))


@pytest.mark.parametrize("calibration", [CURVES, NUMBERS, VOTES, CLASSES])
def test_json_round_trip(calibration):
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration
    assert OutputSpec.from_dict(json.loads(json.dumps(OUTPUT.to_dict()))) == OUTPUT


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n must be a positive integer"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"temperature": float("nan")}, "temperature must be positive"),
        ({"knots": (1, 0), "widths": ((1, 1),)}, "knots must increase"),
        ({"knots": (0, 1)}, "widths must have a row"),
        ({"knots": (0, 1), "widths": ((1,),)}, "widths must be one for each of the 2 knots"),
        ({"factors": ((1,), (-1,))}, "factors must be 0 or more"),
        ({"factors": ((1,),)}, "factors must be rows for"),
        ({"knots": (0,), "widths": ((1,),), "factors": ((1,), (1,))}, "got 1"),
        ({"knots": ((0, 1), (1, 0))}, "knots must increase"),
        ({"knots": ((0, 1), (1,)), "widths": (((1, 1), (1, 1)),)}, "each of the 3 knots"),
        ({"knots": ((0,),), "widths": (((-1,),),)}, "widths must be 0 or more"),
    ],
)
def test_wrong_calibration(options, message):
    with pytest.raises(ValueError, match=message):
        Calibration(**{"n": 10, **options})


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("votes", {"calibration": CLASSES}, "calibration must be one of 2 fractions"),
        ("votes", {"labels": ("a", "b", "c")}, "calibration must be one of 3 fractions"),
        ("kind", {"calibration": VOTES}, "calibration must be one of 2 classes"),
        ("size", {"calibration": VOTES}, "calibration must be one of 1 numbers"),
        ("size", {"calibration": CURVES}, "calibration must be one of 1 numbers"),
        ("votes", {"calibration": CURVES}, "calibration must be one of 2 fractions"),
        ("size", {"units": ("m", "s")}, "units must be one for each of the 1 labels, got 2"),
        ("size", {"units": ("parsnip",)}, "parsnip"),
        ("votes", {"units": ("m", "s")}, "units are for numbers only"),
    ],
)
def test_wrong_head(name, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(HEADS[name], **changes)


def test_wrong_interval():
    with pytest.raises(ValueError, match="interval must be one of"):
        OUTPUT.tabulate(OUTPUTS, interval=0.5)
    bare = OutputSpec(heads=(replace(HEADS["votes"], calibration=None), HEADS["kind"]))
    with pytest.raises(ValueError, match="interval must be left out"):
        bare.column_names(interval=0.68)
