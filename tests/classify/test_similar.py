"""find_similar: the function and the method."""

import numpy as np
import pytest
from astropy.table import QTable
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Cutouts, find_similar
from astrodlkit.specs import Picture

WHITE = {"stretch": Picture(white=1.0)}


@pytest.fixture
def table(pictures):
    """Each of ten galaxies twice, the second time a little brighter; and one without pixels."""
    stamps = np.concatenate(
        [pictures[:10], 1.02 * pictures[:10], np.full_like(pictures[:1], np.nan)]
    )
    return QTable({"cutout": stamps, "number": np.arange(21)})


def test_the_twin_comes_first(classifier, table):
    for row in (0, 7, 13):
        found = find_similar(table, row, 3, model=classifier, **WHITE)
        assert len(found) == 3
        assert found["row"][0] == (row + 10) % 20
        assert_array_equal(found["number"], found["row"])
        assert found["similarity"][0] > 0.95
        assert (np.diff(found["similarity"]) <= 0).all()


def test_what_is_never_found(classifier, table):
    found = find_similar(table, [2, 5, 5], 100, model=classifier, **WHITE)
    assert_array_equal(np.sort(found["row"]), [i for i in range(20) if i not in (2, 5)])
    assert np.isfinite(found["similarity"]).all()


def test_several_examples_are_the_mean_of_each(classifier, table):
    one, two, both = (
        find_similar(table, row, 21, model=classifier, **WHITE) for row in (1, 2, [1, 2])
    )
    for number, similarity in zip(both["row"], both["similarity"], strict=True):
        parts = [each["similarity"][each["row"] == number][0] for each in (one, two)]
        assert_allclose(similarity, np.mean(parts), atol=1e-6)


def test_features_that_are_there_already(classifier, table):
    features = classifier.embed(table, **WHITE)
    wanted = classifier.find_similar(table, 4, 5, **WHITE)
    found = classifier.find_similar(table, 4, 5, features=features)
    assert_array_equal(found["row"], wanted["row"])
    assert_allclose(found["similarity"], wanted["similarity"], rtol=1e-5)


def test_no_column_of_the_users_is_lost(classifier, table):
    result = classifier.predict(table, **WHITE)
    again = classifier.find_similar(classifier.find_similar(result, 0, 9, **WHITE), 0, 2, **WHITE)
    assert len(again) == 2
    result["row"] = result["number"]
    with pytest.raises(ValueError, match=r"names of the result's: \['row'\]"):
        classifier.find_similar(result, 0, 2, **WHITE)
    table["flags"] = table["class"] = table["number"]
    found = classifier.find_similar(table, 0, 2, **WHITE)
    assert_array_equal(found["flags"], found["row"])
    with pytest.raises(ValueError, match=r"names of the result's: \['class', 'flags'\]"):
        classifier.predict(found, **WHITE)


def test_cutouts(classifier, pictures):
    found = classifier.find_similar(Cutouts(pictures, bands=("i", "r", "g")), 0, 2, **WHITE)
    assert found.colnames == ["similarity", "row"]
    assert len(found) == 2


def test_the_result_says_where_it_comes_from(classifier, table):
    found = classifier.find_similar(table, [3, 1], 2, **WHITE)
    assert found.meta["astrodlkit"]["examples"] == [1, 3]
    # Its columns may be replaced by another search.
    assert len(classifier.find_similar(found, 0, 5, **WHITE)) == 1


@pytest.mark.parametrize(
    ("row", "options", "error", "message"),
    [
        (21, {}, ValueError, "row must be from 0 to 20, got 21"),
        (-1, {}, ValueError, "row must be from 0 to 20, got -1"),
        (1.0, {}, TypeError, "row must be the number of a row, or several, got 1.0"),
        (True, {}, TypeError, "row must be the number of a row"),
        ("a", {}, TypeError, "row must be the number of a row, or several, got 'a'"),
        ([], {}, TypeError, "row must be the number of a row"),
        ([[1]], {}, TypeError, "row must be the number of a row"),
        (20, {}, ValueError, r"rows \[20\] have no pixels to compare"),
        (0, {"n": 0}, ValueError, "n must be a positive number of rows, got 0"),
        (0, {"n": 2.5}, ValueError, "n must be a positive number of rows, got 2.5"),
        (0, {"features": np.ones((3, 4))}, ValueError, r"shape \(21, d\).* got \(3, 4\)"),
    ],
)
def test_what_is_refused(request, row, options, error, message):
    classifier, table = (request.getfixturevalue(name) for name in ("classifier", "table"))
    with pytest.raises(error, match=message):
        classifier.find_similar(table, row, **options, **WHITE)


def test_no_rows(classifier, table):
    with pytest.raises(ValueError, match="table has no rows"):
        classifier.find_similar(table[:0], 0)


def test_columns_that_would_be_lost(classifier, table):
    table["row"] = 1
    with pytest.raises(ValueError, match=r"names of the result's: \['row'\]"):
        classifier.find_similar(table, 0)
