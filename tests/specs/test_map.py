"""MapSpec: JSON round trip and refusals."""

import json
from dataclasses import replace

import pytest

from astrodlkit.specs import MapSpec

SPEC = MapSpec(
    pixel=2,
    box_size=512,
    thickness=8,
    domain={"redshift": [0, 2], "Om0": [0.1, 0.5], "sigma8": (0.6, 1)},
    fixed={"n_s": 0.96, "H0": 67.7},
)


def test_json_round_trip():
    assert MapSpec.from_dict(json.loads(json.dumps(SPEC.to_dict()))) == SPEC
    assert list(SPEC.domain) == ["Om0", "sigma8", "redshift"]
    assert SPEC.domain["redshift"] == (0.0, 2.0)
    assert hash(replace(SPEC)) == hash(SPEC)
    assert replace(SPEC, fixed={}).fixed == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pixel": 0}, "pixel must be positive, got 0.0"),
        ({"thickness": "8"}, "thickness must be a finite number, got '8'"),
        ({"box_size": float("inf")}, "box_size must be a finite number, got inf"),
        ({"domain": {"Om0": (0.1, 0.5)}}, "domain must have Om0, sigma8, redshift"),
        ({"domain": {**SPEC.domain, "w0": (-1, 0)}}, "domain must be a mapping of Om0"),
        ({"domain": {**SPEC.domain, "Om0": (0.5, 0.1)}}, "Om0 must be a lowest and a highest"),
        ({"domain": {**SPEC.domain, "Om0": 0.3}}, "Om0 must be a lowest and a highest"),
        ({"fixed": {"age": 13}}, "fixed must be a mapping of H0"),
        ({"fixed": {"H0": None}}, "H0 must be a finite number, got None"),
    ],
)
def test_wrong_values_are_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        replace(SPEC, **options)
