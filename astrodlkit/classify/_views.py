"""The same galaxy seen turned and mirrored, and by several networks: mean and spread."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["VIEWS", "averaged", "combined"]

VIEWS = (1, 2, 4, 8)


def averaged(
    forward: Callable[[torch.Tensor], Mapping[str, torch.Tensor]], views: int
) -> Callable[[torch.Tensor], Mapping[str, torch.Tensor]]:
    """
    A network's mean answer over several orientations of each image.

    Parameters
    ----------
    forward : callable
        From images, shape (n, c, ny, nx), to a dict of tensors.
    views : {1, 2, 4, 8}
        The image; and turned by 180 degrees; and by 90 and 270; and the four
        of them mirrored.

    Returns
    -------
    forward : callable
        Of the same kind; with more than one view it also gives, under
        ``*_spread``, the standard deviation over them. Of numbers, shape
        (n, k, 2), it is that of the values alone.
    """
    if views == 1:
        return forward
    turns = {2: (0, 2), 4: (0, 1, 2, 3), 8: (0, 1, 2, 3)}[views]

    def mean(images: torch.Tensor) -> Mapping[str, torch.Tensor]:
        seen = [images.flip(3), images] if views == 8 else [images]
        answers = [forward(torch.rot90(image, turn, (2, 3))) for image in seen for turn in turns]
        outputs = {}
        for name in answers[0]:
            values = torch.stack([answer[name].float() for answer in answers])
            spread = values.std(dim=0, correction=0)
            outputs[name] = values.mean(dim=0)
            outputs[f"{name}_spread"] = spread[..., 0] if spread.ndim == 3 else spread
        return outputs

    return mean


def combined(answers: Sequence[Mapping[str, NDArray]]) -> Mapping[str, NDArray]:
    """
    Mean and spread over several networks.

    Parameters
    ----------
    answers : sequence of dict of `~numpy.ndarray`
        The numbers of each network, as `averaged` gives them.

    Returns
    -------
    outputs : dict of `~numpy.ndarray`
        The mean; and under ``*_spread`` the standard deviation over the views
        of all networks. The answer itself where there is only one.
    """
    if len(answers) == 1:
        return answers[0]
    outputs = {}
    for name in answers[0]:
        if name in outputs:  # a spread, made with its values
            continue
        values = np.stack([answer[name] for answer in answers])
        centres = values[..., 0] if values.ndim == 4 else values
        within = np.array([answer.get(f"{name}_spread", 0.0) for answer in answers])
        outputs[name] = values.mean(axis=0)
        # The variance of the whole is that between the networks and that within each.
        outputs[f"{name}_spread"] = np.sqrt(
            centres.var(axis=0) + np.mean(np.square(within), axis=0)
        )
    return outputs
