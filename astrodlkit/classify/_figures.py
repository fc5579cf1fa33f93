"""How good a fine-tuned network is on rows that it was not trained on."""

from collections.abc import Mapping

import numpy as np

from ..metrics import accuracy, root_mean_square
from ..pretrained import Figure
from ._labels import Labels

__all__ = ["measure"]


def measure(
    labels: tuple[Labels, ...], outputs: Mapping[str, np.ndarray], note: str
) -> tuple[Figure, ...]:
    """
    Figures of merit of each head.

    Parameters
    ----------
    labels : tuple of Labels, n rows
        Of the validation rows.
    outputs : dict of `~numpy.ndarray`, n along the first axis
        The network's numbers for them.
    note : str
        How they were used besides.

    Returns
    -------
    figures : tuple of Figure
        Classes: accuracy. Fractions: root mean square difference over all
        answers. Numbers: the same of each, in its unit.
    """
    figures = []
    for each in labels:
        head, known = each.head, each.known
        wanted, given = each.truth[known], outputs[head.name][known]
        if head.kind == "classes":
            measured = {f"{head.name}: accuracy": accuracy(given.argmax(axis=1), wanted)}
        elif head.kind == "fractions":
            measured = {f"{head.name}: RMS error": root_mean_square(given - wanted)}
        else:
            off = given[..., 0] - wanted
            measured = {
                f"{name}: RMS error": root_mean_square(column)
                for name, column in zip(head.labels, off.T, strict=True)
            }
        figures += [
            Figure(name, value, error, n, "validation", note)
            for name, (value, error, n) in measured.items()
        ]
    return tuple(figures)
