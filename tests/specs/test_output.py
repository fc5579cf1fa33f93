"""Head and OutputSpec."""

import json

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from astrodlkit.specs import Head, OutputSpec

VOTES = Head(name="votes", kind="fractions", labels=("bar", "ring"), descriptions=("a", "b"))
CLASSES = Head(name="kind", kind="classes", labels=("star", "galaxy"))
OUTPUT = OutputSpec(heads=(VOTES, CLASSES))


def test_table():
    table = OUTPUT.tabulate(
        {"votes": np.array([[0.25, 0.75], [0, 1]]), "kind": np.array([[0.9, 0.1], [0.4, 0.6]])}
    )
    assert table.colnames == ["bar", "ring", "class", "class_probability"]
    assert table["bar"].description == "a"
    assert_array_equal(table["ring"], np.array([0.75, 1], dtype=np.float32))
    assert_array_equal(table["class"], ["star", "galaxy"])
    assert_array_equal(table["class_probability"], np.array([0.9, 0.6], dtype=np.float32))


def test_row_without_result():
    table = OUTPUT.tabulate(
        {"votes": np.full((2, 2), np.nan), "kind": np.array([[np.nan] * 2, [0.2, 0.8]])}
    )
    assert list(table["class"]) == ["", "galaxy"]
    assert_array_equal(np.isnan(table["class_probability"]), [True, False])
    assert np.isnan(table["bar"]).all()


def test_no_rows_have_all_columns_and_types():
    empty = OUTPUT.tabulate({"votes": np.zeros((0, 2)), "kind": np.zeros((0, 2))})
    full = OUTPUT.tabulate({"votes": np.zeros((1, 2)), "kind": np.zeros((1, 2))})
    assert len(empty) == 0
    assert empty.dtype == full.dtype


def test_column_does_not_share_memory():
    values = np.zeros((1, 2), dtype=np.float32)
    table = OUTPUT.tabulate({"votes": values, "kind": values})
    table["bar"][0] = 1
    assert values[0, 0] == 0


def test_json_round_trip():
    assert OutputSpec.from_dict(json.loads(json.dumps(OUTPUT.to_dict()))) == OUTPUT


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "figures"}, "kind must be one of"),
        ({"labels": ()}, "labels must be one or more different names"),
        ({"labels": ("a", "a")}, "labels must be one or more different names"),
        ({"descriptions": ("a",)}, "descriptions must be one for each of the 2 labels, got 1"),
    ],
)
def test_wrong_head(options, message):
    with pytest.raises(ValueError, match=message):
        Head(**{"name": "votes", "kind": "fractions", "labels": ("a", "b"), **options})


def test_columns_that_clash():
    with pytest.raises(ValueError, match="heads must give different columns"):
        OutputSpec(heads=(VOTES, VOTES))


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"'votes' must have the shape \(n, 2\), got \(1, 3\)"):
        VOTES.tabulate(np.zeros((1, 3)))


@pytest.mark.parametrize("unit", [u.dex(u.Msun), u.ABmag])
def test_numbers_in_logarithmic_units(unit):
    head = Head(name="mass", kind="numbers", labels=("mass",), units=(str(unit),))
    columns = head.tabulate([[[10.5, 0.1]]], spread=[[0.2]])
    assert columns["mass"].unit == unit
    assert columns["mass"].dtype == np.float32
    # A difference is a ratio.
    assert columns["mass_spread"].unit == unit.function_unit
    upper = columns["mass"] + columns["mass_spread"]
    assert upper.unit == unit
    assert upper.value[0] == pytest.approx(10.7)
