"""What a network eats and what its numbers mean, as data."""

from ._calibration import Calibration
from ._input import InputSpec
from ._map import MapSpec
from ._output import Head, OutputSpec
from ._peak import PeakStretch
from ._stretch import LuptonStretch, Picture, Stretch
from ._template import TemplateSpec
from ._units import nanomaggies

__all__ = [
    "Calibration",
    "Head",
    "InputSpec",
    "LuptonStretch",
    "MapSpec",
    "OutputSpec",
    "PeakStretch",
    "Picture",
    "Stretch",
    "TemplateSpec",
    "nanomaggies",
]
