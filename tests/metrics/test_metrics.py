"""Figures whose value is known, or follows from how the rows were drawn."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn
from astropy.utils.masked import Masked

from astrodlkit.metrics import (
    accuracy,
    area_under_roc,
    expected_calibration_error,
    interval_coverage,
    reliability_curve,
    root_mean_square,
)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def test_accuracy():
    measured = accuracy(["a", "b", "a", "a"], ["a", "b", "b", "a"])
    assert measured == (0.75, pytest.approx(np.sqrt(0.75 * 0.25 / 4)), 4)
    assert accuracy([1] * 50, [1] * 50).error > 0


def test_right_probabilities_have_no_calibration_error(rng):
    probability = rng.uniform(0.2, 1, 200_000)
    right = rng.random(200_000) < probability
    curve = reliability_curve(probability, right)
    assert (np.abs(curve.accuracy - curve.probability) < 4 * curve.error).all()
    assert curve.n.sum() == 200_000
    assert expected_calibration_error(probability, right) < 0.005
    assert expected_calibration_error(probability**2, right) > 0.1


def test_calibration_error_is_that_of_the_library(rng):
    torchmetrics = pytest.importorskip("torchmetrics")
    torch = pytest.importorskip("torch")
    probability, right = rng.uniform(0.5, 1, 500).astype(np.float32), rng.random(500) < 0.8
    expected = torchmetrics.functional.classification.binary_calibration_error(
        torch.from_numpy(probability), torch.from_numpy(right.astype(int)), n_bins=10
    )
    assert expected_calibration_error(probability, right, bins=10) == pytest.approx(
        float(expected), abs=1e-6
    )


def test_bins_are_numbers_or_edges():
    one = reliability_curve([0.0, 0.5, 1.0], [0, 1, 1], bins=2)
    other = reliability_curve([0.0, 0.5, 1.0], [0, 1, 1], bins=[0, 0.5, 1])
    assert reliability_curve([0.0, 0.5, 1.0], [0, 1, 1], bins=np.int64(2)).n.tolist() == [2, 1]
    assert one.n.tolist() == other.n.tolist() == [2, 1]


def test_area(rng):
    assert area_under_roc([3, 4], [1, 2]) == 1
    assert area_under_roc([1, 1], [1, 1]) == 0.5
    x, y = rng.normal(1, 1, 4000), rng.normal(0, 1, 4000)
    assert area_under_roc(x, y) == pytest.approx(0.7602, abs=0.02)  # Phi(1 / sqrt(2))


def test_coverage(rng):
    truth = rng.normal(size=(5000, 3))
    truth[::2, 1] = np.nan
    measured = interval_coverage(truth, np.full((5000, 3), -1.0), np.full((5000, 3), 1.0))
    assert measured.value == pytest.approx(0.6827, abs=0.02)
    assert measured.n == 5000
    assert interval_coverage([1.0], [1.0], [1.0]).value == 1


def test_root_mean_square(rng):
    residuals = rng.normal(0, 0.3, (2000, 4))
    residuals[7] = np.nan
    value, error, n = root_mean_square(residuals)
    assert value == pytest.approx(0.3, abs=0.01)
    assert error == pytest.approx(0.3 / np.sqrt(2 * 4 * n), rel=0.15)
    assert n == 1999
    assert root_mean_square(residuals) == (value, error, n)


def test_what_is_masked_is_no_number():
    truth = MaskedColumn(["a", "b", "N/A"], mask=[False, False, True])
    assert accuracy(["a", "a", "N/A"], truth)[::2] == (0.5, 2)
    assert accuracy(truth, ["a", "b", "N/A"])[::2] == (pytest.approx(2 / 3), 3)
    numbers = np.ma.array([0.5, 0.1, -999], mask=[False, False, True])
    for masked in (numbers, MaskedColumn(numbers), Masked(numbers.data, numbers.mask) * u.m):
        unit = getattr(masked, "unit", None) or 1
        assert interval_coverage(masked, [0.2] * 3 * unit, [0.9] * 3 * unit)[::2] == (0.5, 2)
        assert root_mean_square(masked)[::2] == (pytest.approx(np.sqrt(0.13)), 2)
    for call in (
        lambda: reliability_curve(np.ma.abs(numbers) / 1000, [1, 0, 1]),
        lambda: reliability_curve([0.5, 0.1, 0.2], np.ma.array([1, 0, 0], mask=numbers.mask)),
        lambda: area_under_roc(numbers, [0]),
    ):
        with pytest.raises(ValueError, match="not NaN"):
            call()


def test_units_convert():
    assert interval_coverage([30] * u.arcsec, [0.4] * u.arcmin, [0.6] * u.arcmin).value == 1
    assert area_under_roc([1] * u.m, [50] * u.cm) == 1
    assert reliability_curve([90, 20] * u.percent, [1, 0]).probability.tolist() == [0.2, 0.9]
    with pytest.raises(u.UnitConversionError):
        interval_coverage([30] * u.arcsec, [0.4], [0.6])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy([1], [1, 2]), "one shape"),
        (lambda: accuracy([], []), "one row or more"),
        (lambda: reliability_curve([], []), "n > 0"),
        (lambda: reliability_curve([1.5], [True]), "probability must be from"),
        (lambda: reliability_curve([np.nan], [True]), "not NaN"),
        (lambda: reliability_curve([0.5], [np.nan]), "right must be true or false"),
        (lambda: reliability_curve([0.5], [True], bins=np.int64(0)), "bins must be 1 or more"),
        (lambda: reliability_curve([0.5], [True], bins=[0, 0.7, 0.3, 1]), "that increase"),
        (lambda: area_under_roc([], [1]), "positive must be one score or more"),
        (lambda: area_under_roc([1], [np.nan]), "negative must be one score or more"),
        (lambda: interval_coverage([1], [1, 2], [1]), "one shape"),
        (lambda: interval_coverage([], [], []), "one row or more"),
        (lambda: interval_coverage([np.nan], [1], [1]), "one row or more"),
        (lambda: root_mean_square([np.nan]), "one row or more"),
        (lambda: root_mean_square([]), "one row or more"),
    ],
)
def test_what_makes_no_sense(call, message):
    with pytest.raises(ValueError, match=message):
        call()
