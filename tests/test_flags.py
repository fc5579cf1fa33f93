"""Flags as their names."""

import numpy as np
import pytest
from astropy.table import Table, join

from astrodlkit import Flag, decode_flags


def test_names_of_bits():
    assert decode_flags(6) == decode_flags(Flag(6)) == ["partial_overlap", "masked_pixels"]
    assert decode_flags(np.array([0, 256], ">i4")) == [[], ["blank"]]
    assert decode_flags([]) == []


def test_masked_flags_have_no_names():
    joined = join(
        Table({"id": [1, 2, 3]}), Table({"id": [1, 2], "flags": [4, 2]}), join_type="left"
    )
    assert joined["flags"].mask.tolist() == [False, False, True]
    assert decode_flags(joined["flags"]) == [["masked_pixels"], ["partial_overlap"], []]


@pytest.mark.parametrize("flags", [True, 1.5, "a", None])
def test_flags_are_integers(flags):
    with pytest.raises(TypeError, match="flags must be integers"):
        decode_flags(flags)


@pytest.mark.parametrize("flags", [-1, [0, 2**20], [[1]]])
def test_what_means_nothing(flags):
    with pytest.raises(ValueError, match="flags"):
        decode_flags(flags)
