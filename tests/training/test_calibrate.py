"""calibrate: coverage and calibration on rows that it did not see."""

import numpy as np
import pytest

from astrodlkit.metrics import expected_calibration_error, interval_coverage
from astrodlkit.specs import Head, OutputSpec
from astrodlkit.training import calibrate

CLASSES = OutputSpec(heads=(Head(name="kind", kind="classes", labels=("a", "b", "c")),))
VOTES = OutputSpec(heads=(Head(name="votes", kind="fractions", labels=("p", "q")),))
NUMBERS = OutputSpec(heads=(Head(name="size", kind="numbers", labels=("r", "s")),))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def draw_classes(rng, n, power):
    """Labels, and probabilities that are right but for a power."""
    right = rng.dirichlet(np.full(3, 0.4), n)
    truth = np.array([rng.choice(3, p=row) for row in right])
    values = right**power
    return values / values.sum(axis=1, keepdims=True), truth


@pytest.mark.parametrize("power", [0.6, 1.0, 2.0])
def test_temperature(rng, power):
    values, truth = draw_classes(rng, 4000, power)
    output = calibrate(CLASSES, {"kind": values[:2000]}, {"kind": truth[:2000]})
    calibration = output.heads[0].calibration
    assert calibration.n == 2000
    assert calibration.temperature == pytest.approx(power, rel=0.1)
    table = output.tabulate({"kind": values[2000:]})
    right = values[2000:].argmax(axis=1) == truth[2000:]
    assert expected_calibration_error(table["class_probability"], right) < 0.03
    # 200 rows in each of ten bins.
    typical = np.median(table["class_probability_error"])
    assert 0.01 < typical < 0.04


def test_the_error_of_a_probability_does_not_follow_the_order_of_rows():
    values, truth = np.tile([[0.7, 0.2, 0.1]], (200, 1)), np.repeat([0, 1], [150, 50])
    one = calibrate(CLASSES, {"kind": values}, {"kind": truth})
    assert calibrate(CLASSES, {"kind": values}, {"kind": truth[::-1]}) == one
    table = one.tabulate({"kind": values[:1]})
    assert table["class_probability_error"][0] == pytest.approx(
        np.sqrt(0.75 * 0.25 / 200), rel=0.02
    )


def draw_votes(rng, n):
    """Beta-distributed votes whose scatter depends on the value, twice as large for q."""
    values = rng.beta(0.5, 1.5, (n, 2))
    scatter = rng.normal(size=(n, 2)) * np.sqrt(values * (1 - values)) * [0.1, 0.2]
    return values, np.clip(values + scatter, 0, 1)


def test_fractions_are_covered_everywhere(rng):
    values, truth = draw_votes(rng, 6000)
    output = calibrate(VOTES, {"votes": values[:1500]}, {"votes": truth[:1500]})
    for level in (0.68, 0.95):
        table = output.tabulate({"votes": values[1500:]}, interval=level)
        for i, name in enumerate("pq"):
            low, high, true = table[f"{name}_low"], table[f"{name}_high"], truth[1500:, i]
            assert abs(interval_coverage(true, low, high).value - level) < 0.04
            for least, most in ((0.05, 0.2), (0.2, 0.4), (0.4, 0.8)):
                part = (values[1500:, i] > least) & (values[1500:, i] < most)
                covered = interval_coverage(true[part], low[part], high[part]).value
                assert abs(covered - level) < 0.08
    ratio = np.median(table["q_error"][values[1500:, 0] > 0.1]) / np.median(
        table["p_error"][values[1500:, 0] > 0.1]
    )
    assert ratio > 1.2


def test_numbers_of_votes_and_gaps(rng):
    values, _ = draw_votes(rng, 300)
    values = values / values.sum(axis=1, keepdims=True)
    counts = rng.multinomial(40, values).astype(float)
    whole = calibrate(VOTES, {"votes": values}, {"votes": counts / 40})
    assert calibrate(VOTES, {"votes": values}, {"votes": counts}) == whole
    counts[:100] = np.nan
    assert calibrate(VOTES, {"votes": values}, {"votes": counts}).heads[0].calibration.n == 200


def test_numbers_with_deviations(rng):
    deviation = rng.uniform(0.5, 2, (3000, 2))
    truth = rng.normal(0, deviation * [1, 2])
    values = np.stack([np.zeros((3000, 2)), deviation], axis=2)
    truth[2900:, 1] = np.nan
    calibration = calibrate(NUMBERS, {"size": values}, {"size": truth}).heads[0].calibration
    widths = [
        [calibration.half_widths(np.zeros(1), level, i, np.ones(1))[0] for i in range(2)]
        for level in (0.68, 0.95)
    ]
    assert np.allclose(widths, [[0.994, 1.989], [1.96, 3.92]], rtol=0.08)


def draw_numbers(rng, n):
    """Numbers whose scatter grows with the value, of which the network knows half (r) or none."""
    values = rng.uniform(0, [10, 1000], (n, 2))
    deviation = (1 + values / [5, 100]) * rng.uniform(0.5, 2, (n, 2))
    truth = rng.normal(values, deviation * [1, 20])
    said = np.sqrt(deviation) * [1, 20]
    return np.stack([values, said], axis=2), truth


@pytest.mark.parametrize("level", [0.68, 0.95])
def test_numbers_are_covered_wherever_they_are(rng, level):
    values, truth = draw_numbers(rng, 1000)
    fresh, unseen = draw_numbers(rng, 20_000)
    output = calibrate(NUMBERS, {"size": values}, {"size": truth})
    table = output.tabulate({"size": fresh}, interval=level)
    for i, name in enumerate("rs"):
        inside = (unseen[:, i] >= table[f"{name}_low"]) & (unseen[:, i] <= table[f"{name}_high"])
        assert abs(inside.mean() - level) < 0.03
        for part in np.array_split(np.argsort(fresh[:, i, 0]), 4):
            assert abs(inside[part].mean() - level) < 0.06
    errors = np.array(table["r_error"])[np.argsort(fresh[:, 0, 0])]
    assert errors[-5000:].mean() > 2 * errors[:5000].mean()


def test_few_rows_of_a_number_have_the_width_of_all(rng):
    values, truth = draw_numbers(rng, 300)
    truth[19:, 1] = np.nan
    calibration = calibrate(NUMBERS, {"size": values}, {"size": truth}).heads[0].calibration
    assert [len(knots) for knots in calibration.knots] == [7, 1]
    scores = np.sort((np.abs(truth - values[..., 0]) / values[..., 1])[np.isfinite(truth)])
    for level in (0.68, 0.95):
        wanted = scores[int(np.ceil(level * (len(scores) + 1))) - 1]
        found = calibration.half_widths(np.array([3.0, 900.0]), level, 1, np.ones(2))
        assert np.allclose(found, wanted, rtol=1e-3)


def test_few_rows_and_heads_that_are_left_out(rng):
    values, truth = draw_classes(rng, 300, 1.0)
    few = calibrate(CLASSES, {"kind": values[:19]}, {"kind": truth[:19]})
    assert few.heads[0].calibration is None
    unknown = np.where(np.arange(300) < 19, truth, -1)
    assert calibrate(CLASSES, {"kind": values}, {"kind": unknown}) == few
    once = calibrate(CLASSES, {"kind": values}, {"kind": truth})
    assert calibrate(once, {}, {}) == once
    assert calibrate(VOTES, {"votes": np.ones((5, 2))}, {"votes": np.ones((5, 2))}) == VOTES
    size = np.ones((5, 2, 2))
    assert calibrate(NUMBERS, {"size": size}, {"size": size[..., 0]}) == NUMBERS


def test_a_label_that_is_never_known_has_the_factor_of_all(rng):
    values, truth = draw_votes(rng, 200)
    truth[:, 1] = np.nan
    factors = calibrate(VOTES, {"votes": values}, {"votes": truth}).heads[0].calibration.factors
    assert factors[0][0] == factors[0][1]


def test_wrong_labels():
    with pytest.raises(
        ValueError, match=r"labels must be for heads of \['kind'\], got \['votes'\]"
    ):
        calibrate(CLASSES, {}, {"votes": []})
    with pytest.raises(ValueError, match=r"must have the shape \(4,\), got \(4, 3\)"):
        calibrate(CLASSES, {"kind": np.ones((4, 3))}, {"kind": np.ones((4, 3))})
