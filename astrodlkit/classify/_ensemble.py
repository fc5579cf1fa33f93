"""Several classifiers that answer together."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..specs import Calibration, Head, OutputSpec
from ._classifier import CutoutClassifier
from ._predictor import Predictor

__all__ = ["ClassifierEnsemble"]


class ClassifierEnsemble(Predictor):
    """
    Classifiers whose answers are averaged.

    The networks may differ, and so may what they are shown; pictures are
    prepared once for all that are shown the same. Errors and intervals are
    means of those of the members: what is measured of one network is a little
    wide for the mean of several.

    Parameters
    ----------
    members : sequence of CutoutClassifier
        One or more; their heads must have the same names, labels and units.

    Raises
    ------
    TypeError
        If a member is something else.
    ValueError
        If there is none, or their outputs differ.

    See Also
    --------
    classify_cutouts : Takes a list of models too.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit import load_model
    >>> from astrodlkit.classify import ClassifierEnsemble
    >>> ensemble = ClassifierEnsemble([load_model("galaxyzoo2"), load_model("galaxyzoo2")])
    >>> y, x = np.mgrid[-1:1:96j, -1:1:96j]
    >>> picture = 255 * np.exp(-8 * np.hypot(x, y)) * np.ones((3, 1, 1))
    >>> result = ensemble.predict({"cutout": picture[None]}, bands=("red", "green", "blue"))
    >>> print(result["class"][0], result["class_probability_spread"][0])
    completely_round 0.0
    """

    def __init__(self, members: Iterable[CutoutClassifier]) -> None:
        self._members = tuple(members)
        if not self._members:
            raise ValueError("members must be one or more classifiers, got none")
        for member in self._members:
            if not isinstance(member, CutoutClassifier):
                raise TypeError(f"members must be of CutoutClassifier, got {type(member).__name__}")
        self._output = _common_output(self._members)

    def __repr__(self) -> str:
        names = ", ".join(member.card.full_name for member in self._members)
        return f"<{type(self).__name__} of {names}>"

    @property
    def members(self) -> tuple[CutoutClassifier, ...]:
        """The classifiers."""
        return self._members

    @property
    def output(self) -> OutputSpec:
        """What the mean of their numbers means."""
        return self._output


def _common_output(members: Sequence[CutoutClassifier]) -> OutputSpec:
    first, *others = members
    for other in others:
        mine, its = ([_bare(head) for head in member.output.heads] for member in (first, other))
        if mine != its:
            raise ValueError(
                "models that answer together must have the same heads, labels and units: "
                f"{first.card.full_name} has {_in_words(first)}, "
                f"{other.card.full_name} has {_in_words(other)}"
            )
    heads = zip(*(member.output.heads for member in members), strict=True)
    return OutputSpec(
        heads=tuple(
            replace(same[0], calibration=_mean([head.calibration for head in same]))
            for same in heads
        )
    )


def _bare(head: Head) -> Head:
    """A head without what may differ."""
    return replace(head, descriptions=(), calibration=None)


def _in_words(member: CutoutClassifier) -> str:
    return "; ".join(
        f"{head.name} ({head.kind}: {', '.join(head.labels[:3])}"
        f"{', ...' if len(head.labels) > 3 else ''})"
        for head in member.output.heads
    )


def _mean(calibrations: Sequence[Calibration | None]) -> Calibration | None:
    """Mean of calibrations of the same kind; none if one of them is missing."""
    known = [calibration for calibration in calibrations if calibration is not None]
    return Calibration.mean(known) if len(known) == len(calibrations) else None
