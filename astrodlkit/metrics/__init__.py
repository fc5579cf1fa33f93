"""Numbers that judge a result, each with its error, and statistics of density maps."""

from ._bispectrum import Bispectrum, bispectrum
from ._classes import (
    ReliabilityCurve,
    accuracy,
    area_under_roc,
    expected_calibration_error,
    reliability_curve,
)
from ._histograms import MapHistogram, peak_counts, pixel_histogram
from ._measured import Measured
from ._minkowski import MinkowskiFunctionals, minkowski_functionals
from ._numbers import interval_coverage, root_mean_square
from ._power_spectrum import (
    CrossPowerSpectrum,
    PowerSpectrum,
    PowerSpectrumCorrelation,
    cross_power_spectrum,
    power_spectrum,
    power_spectrum_correlation,
)

__all__ = [
    "Bispectrum",
    "CrossPowerSpectrum",
    "MapHistogram",
    "Measured",
    "MinkowskiFunctionals",
    "PowerSpectrum",
    "PowerSpectrumCorrelation",
    "ReliabilityCurve",
    "accuracy",
    "area_under_roc",
    "bispectrum",
    "cross_power_spectrum",
    "expected_calibration_error",
    "interval_coverage",
    "minkowski_functionals",
    "peak_counts",
    "pixel_histogram",
    "power_spectrum",
    "power_spectrum_correlation",
    "reliability_curve",
    "root_mean_square",
]
