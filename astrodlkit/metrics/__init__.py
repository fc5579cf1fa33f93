"""Numbers that judge a result, each with its error."""

from ._classes import (
    ReliabilityCurve,
    accuracy,
    area_under_roc,
    expected_calibration_error,
    reliability_curve,
)
from ._measured import Measured
from ._numbers import interval_coverage, root_mean_square

__all__ = [
    "Measured",
    "ReliabilityCurve",
    "accuracy",
    "area_under_roc",
    "expected_calibration_error",
    "interval_coverage",
    "reliability_curve",
    "root_mean_square",
]
