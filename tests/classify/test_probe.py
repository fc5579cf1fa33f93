"""How different two precisions are, in units of the network's own error."""

import numpy as np
import pytest

from astrodlkit.classify._probe import PLAIN_ERROR, difference_in_errors, probe_images
from astrodlkit.specs import Calibration, Head, OutputSpec

VOTES = Head(name="votes", kind="fractions", labels=("a", "b"))
KIND = Head(name="kind", kind="classes", labels=("star", "galaxy"))
SIZES = Head(name="sizes", kind="numbers", labels=("radius", "flux"), units=("arcsec", "Jy"))


def shifted(full, head, by):
    return {**full, head: full[head] + np.asarray(by)}


@pytest.fixture
def full():
    rng = np.random.default_rng(0)
    values = rng.random((50, 2))
    scales = rng.uniform(0.5, 2, (50, 2)) * [1, 1000]
    return {
        "votes": rng.random((50, 2)),
        "kind": values / values.sum(axis=1, keepdims=True),
        "sizes": np.stack([rng.normal(size=(50, 2)), scales], axis=2),
    }


@pytest.mark.parametrize("head", [VOTES, KIND])
def test_without_a_calibration_it_is_in_units_of_a_plain_error(full, head):
    other = shifted(full, head.name, [0.03, -0.01])
    found = difference_in_errors(full, other, OutputSpec(heads=(head,)))
    assert found == pytest.approx(np.sqrt((0.03**2 + 0.01**2) / 2) / PLAIN_ERROR)


def test_a_calibration_tells_the_error_of_fractions(full):
    calibration = Calibration(
        n=10,
        knots=(0.0, 1.0),
        widths=((0.2, 0.2), (0.4, 0.4)),
        factors=((1.0, 2.0), (1.0, 2.0)),
    )
    head = Head(name="votes", kind="fractions", labels=("a", "b"), calibration=calibration)
    found = difference_in_errors(full, shifted(full, "votes", 0.05), OutputSpec(heads=(head,)))
    assert found == pytest.approx(0.05 / np.sqrt((0.2**2 + 0.4**2) / 2))


def test_numbers_say_how_uncertain_they_are(full):
    scales = full["sizes"][..., 1]
    other = shifted(full, "sizes", np.stack([0.2 * scales, np.zeros_like(scales)], axis=2))
    assert difference_in_errors(full, other, OutputSpec(heads=(SIZES,))) == pytest.approx(0.2)


def test_the_worst_head_counts(full):
    output = OutputSpec(heads=(VOTES, KIND, SIZES))
    assert difference_in_errors(full, full, output) == 0
    for name in full:
        assert difference_in_errors(full, shifted(full, name, 0.5), output) > 0.1
    assert np.isnan(difference_in_errors(full, shifted(full, "votes", np.nan), output))


def test_pictures_are_the_same_in_every_run(classifier):
    one, other = (probe_images(classifier.card.input) for _ in range(2))
    assert one.shape == (64, 3, 32, 32)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, other)
    assert one.std(axis=0).min() > 0
