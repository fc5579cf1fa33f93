"""read_labels: every container that labels come in."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, QTable
from astropy.utils.masked import Masked
from numpy.testing import assert_array_equal

from astrodlkit.classify._labels import read_labels

NAMES = ["b", "a", "", "b"]
NUMBERS = [1.5, 2.0, np.nan, 1.0]


def one(labels, table=None):
    return read_labels(labels, QTable() if table is None else table, 4)[0]


@pytest.mark.parametrize(
    "labels",
    [
        NAMES,
        tuple(NAMES),
        np.array(NAMES),
        np.array(NAMES, dtype="S1"),
        np.array(["b", "a", None, "b"], dtype=object),
        np.array([b"b", "a ", np.nan, "b"], dtype=object),
        np.ma.array(["b", "a", "c", "b"], mask=[0, 0, 1, 0]),
        Column(NAMES),
        MaskedColumn(["b", "a", "c", "b"], mask=[0, 0, 1, 0]),
    ],
)
def test_classes(labels):
    found = one(labels)
    assert (found.head.kind, found.head.labels) == ("classes", ("a", "b"))
    assert found.head.columns == ("class", "class_probability")
    assert_array_equal(found.values, [1, 0, -1, 1])
    assert_array_equal(found.known, [True, True, False, True])


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS,
        np.array(NUMBERS, dtype=">f4"),
        np.array([1.5, 2, None, 1], dtype=object),
        [1.5, 2, np.inf, 1],
        np.ma.array([1.5, 2, 7, 1], mask=[0, 0, 1, 0]),
        MaskedColumn([1.5, 2, 7, 1], mask=[0, 0, 1, 0]),
        NUMBERS * u.mag,
        Masked([1.5, 2, 7, 1] * u.mag, mask=[0, 0, 1, 0]),
        Column(NUMBERS, unit="mag"),
    ],
)
def test_numbers(labels):
    found = one(labels)
    assert (found.head.kind, found.head.labels) == ("numbers", ("number",))
    assert found.head.units == (("mag",) if getattr(labels, "unit", None) else ())
    assert_array_equal(found.values, np.array(NUMBERS, np.float32)[:, None])
    assert_array_equal(found.known, [True, True, False, True])


@pytest.mark.parametrize(
    "labels",
    [
        [[3, 1], [0, 2], [-1, 5], [1, 1]],
        [[3.0, 1], [0, 2], [np.nan, 5], [1, 1]],
        [[3, 1], [0, 2], [0, 0], [1, 1]],
        np.ma.array([[3, 1], [0, 2], [2, 5], [1, 1]], mask=[[0, 0], [0, 0], [0, 1], [0, 0]]),
    ],
)
def test_votes(labels):
    found = one(labels)
    assert (found.head.kind, found.head.labels) == ("fractions", ("fraction_0", "fraction_1"))
    assert_array_equal(found.values, [[3, 1], [0, 2], [np.nan, np.nan], [1, 1]])
    assert_array_equal(found.known, [True, True, False, True])


def test_numbers_in_a_logarithmic_unit():
    masses = u.Dex([10.5, 9, np.nan, 11], u.dex(u.Msun))
    found = one("mass", QTable({"mass": masses}))
    assert found.head.units == ("dex(solMass)",)
    assert_array_equal(found.values, masses.value[:, None].astype(np.float32))


@pytest.mark.parametrize("kind", [Column, np.array])
def test_names_in_bytes_are_utf8(kind):
    names = ["barrée", "楕円", "", "barrée"]
    found = one(kind([name.encode() for name in names]))
    assert found.head.labels == ("barrée", "楕円")
    assert_array_equal(found.values, [0, 1, -1, 0])


def test_names_of_columns_beat_names_of_classes():
    table = QTable({"a": [3, 0, 1, 1], "b": [1, 2, 1, 1]})
    assert one(["a", "b"], table).head.labels == ("predicted_a", "predicted_b")
    assert one(["a", "b", "c", "c"], table).head.labels == ("a", "b", "c")


def test_names_of_classes_may_be_those_of_columns():
    table = QTable({"a": [3, 0, 1, 1], "b": [1, 2, 1, 1]})
    assert one(["a", "b", "b", "a"], table).head.kind == "classes"


def test_pandas():
    pandas = pytest.importorskip("pandas")
    assert one(pandas.Series(["b", "a", None, "b"])).head.labels == ("a", "b")
    for kind in ("string", "category", object):
        found = one(pandas.Series(["b", "a", pandas.NA, "b"], dtype=kind))
        assert_array_equal(found.values, [1, 0, -1, 1])
    assert_array_equal(one(pandas.Series(NUMBERS)).known, [True, True, False, True])


def test_several():
    table = QTable({"T": NUMBERS, "bar": NAMES})
    found = read_labels({"type": "T", "barred": "bar"}, table, 4)
    assert [each.head.columns for each in found] == [
        ("type",),
        ("barred", "barred_probability"),
    ]
