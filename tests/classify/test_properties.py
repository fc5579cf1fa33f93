"""What holds for any input, in any order, of any type."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import NDData
from astropy.table import Column, MaskedColumn, QTable, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag
from astrodlkit.specs import Picture

SURFACE = u.nmgy / u.arcsec**2
VOTE = "t01_smooth_or_features_a01_smooth"
FEW = settings(max_examples=25)


@FEW
@given(data=st.data())
def test_a_row_does_not_depend_on_the_others(classifier, pictures, data):
    order = data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=15))
    batch_size = data.draw(st.integers(1, 20))
    views = data.draw(st.sampled_from([1, 2, 8]))
    options = {"views": views, "precision": "float32"}
    whole = classifier.predict({"cutout": pictures * SURFACE}, **options)
    part = classifier.predict(
        {"cutout": pictures[order] * SURFACE}, batch_size=batch_size, **options
    )
    for name in (VOTE, "class_probability"):
        assert_allclose(part[name], whole[name][order], atol=1e-5)
    assert_array_equal(part["class"], whole["class"][order])


@FEW
@given(data=st.data())
def test_lost_rows_and_other_shapes_beside_it_change_nothing(classifier, pictures, data):
    kinds = data.draw(
        st.lists(
            st.sampled_from(["whole", "part", "none", "nan", "masked"]), min_size=1, max_size=9
        )
    )
    column = np.empty(len(kinds), dtype=object)
    for i, kind in enumerate(kinds):
        stamp = pictures[i % 12]
        column[i] = {
            "whole": stamp * SURFACE,
            "part": stamp[:, 3:29, 2:31] * SURFACE,
            "none": None,
            "nan": stamp * np.nan * SURFACE,
            "masked": NDData(stamp, unit=SURFACE, mask=stamp < 0),
        }[kind]
    batch_size = data.draw(st.integers(1, 10))
    result = classifier.predict({"cutout": column}, batch_size=batch_size)
    for i in range(len(kinds)):
        alone = classifier.predict({"cutout": column[i : i + 1]})
        assert_allclose(result[VOTE][i], alone[VOTE][0], atol=1e-5)
        assert result["flags"][i] == alone["flags"][0]
    lost = np.isin(kinds, ["none", "nan"])
    assert_array_equal((result["flags"] & Flag.NO_RESULT) > 0, lost)


@FEW
@given(
    dtype=st.sampled_from(["<f4", ">f4", "<f8", ">f8", "f2", "u1", ">i2", "<i4", "?"]),
    kind=st.sampled_from([Table, QTable, dict]),
    unit=st.sampled_from([None, SURFACE, u.Jy / u.sr]),
    masked=st.booleans(),
    read_only=st.booleans(),
    fortran=st.booleans(),
)
def test_any_type_of_number_in_any_kind_of_table(
    classifier, pictures, *, dtype, kind, unit, masked, read_only, fortran
):
    # Values that every type holds, so that the answer must be the same.
    values = (pictures > 0.1).astype(dtype)
    options = {"stretch": Picture(white=1.0)} if unit is None else {}
    expected = classifier.predict(
        QTable({"cutout": u.Quantity(pictures > 0.1, unit, dtype=float)}), **options
    )
    if fortran:
        values = np.asfortranarray(values)
    values.flags.writeable = not read_only
    # numpy's fill value does not fit into float16.
    if masked and dtype not in ("?", "f2"):
        column = MaskedColumn(values, unit=unit, mask=np.zeros(values.shape, dtype=bool))
    else:
        column = values if unit is None else Column(values, unit=unit)
    if kind is not dict:
        table = kind({"cutout": column}, copy=False)
    elif unit is None:
        table = {"cutout": column}
    else:
        table = {"cutout": u.Quantity(values, unit)}
    result = classifier.predict(table, **options)
    assert_allclose(result[VOTE], expected[VOTE], atol=1e-4)
    assert not result["flags"].any()


@FEW
@given(
    stamps=arrays(
        st.sampled_from(["f4", "f8", "i2", "u1"]),
        st.tuples(st.integers(0, 4), st.sampled_from([1, 3])).flatmap(
            lambda nc: array_shapes(min_dims=2, max_dims=2, max_side=40).map(lambda yx: (*nc, *yx))
        ),
    )
)
def test_any_pixels_give_probabilities_or_nothing(classifier, stamps):
    result = classifier.predict({"cutout": stamps}, stretch=Picture(white=255.0))
    assert len(result) == len(stamps)
    lost = (np.array(result["flags"]) & Flag.NO_RESULT) > 0
    assert_array_equal(~np.isfinite(stamps).any(axis=(1, 2, 3)), lost)
    votes = np.array(result[VOTE])
    assert_array_equal(np.isnan(votes), lost)
    assert ((votes[~lost] >= 0) & (votes[~lost] <= 1)).all()


@FEW
@given(
    x=st.lists(
        st.one_of(st.floats(-100, 200), st.sampled_from([np.nan, np.inf, -1e30])),
        min_size=1,
        max_size=8,
    ),
    size=st.one_of(st.floats(0.5, 150), st.sampled_from([np.nan, 0.0, -3.0, np.inf])),
    batch_size=st.integers(1, 9),
)
def test_any_position_and_size_gives_a_row(classifier, pictures, x, size, batch_size):
    image = np.tile(pictures[0, 0], (3, 3))
    table = {"x": x, "y": [48.0] * len(x)}
    sizes = np.full(len(x), size)
    result = classifier.predict(
        table, image, size=sizes, batch_size=batch_size, stretch=Picture(white=1.0)
    )
    assert_array_equal(result["x"], x)
    flags = np.array(result["flags"])
    valid = np.isfinite(x) & np.isfinite(size) & (size > 0)
    named = (flags & (Flag.INVALID_POSITION | Flag.INVALID_SIZE)) > 0
    assert_array_equal(named, ~valid)
    assert_array_equal(np.isnan(result[VOTE]), (flags & Flag.NO_RESULT) > 0)


@pytest.mark.slow
def test_a_million_rows_are_joined_in_seconds(classifier):
    from time import perf_counter

    from astrodlkit.classify._results import join

    n = 1_000_000
    rows = QTable({"id": np.arange(n), "flux": np.zeros(n) * u.Jy, "name": np.full(n, "galaxy")})
    outputs = {"votes": np.zeros((n, 37), np.float32), "class": np.zeros((n, 5), np.float32)}
    start = perf_counter()
    result = join(rows, outputs, np.zeros(n, np.int32), classifier.card.output, {})
    assert perf_counter() - start < 20
    assert len(result) == n
