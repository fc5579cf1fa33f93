"""What a network eats and what its numbers mean, as data."""

from ._input import InputSpec
from ._output import Head, OutputSpec
from ._stretch import LuptonStretch, Picture

__all__ = ["Head", "InputSpec", "LuptonStretch", "OutputSpec", "Picture"]
