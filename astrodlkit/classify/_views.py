"""The same galaxy seen turned and mirrored."""

from collections.abc import Callable, Mapping

import torch

__all__ = ["VIEWS", "averaged"]

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
        Of the same kind.
    """
    turns = {1: (0,), 2: (0, 2), 4: (0, 1, 2, 3), 8: (0, 1, 2, 3)}[views]

    def mean(images: torch.Tensor) -> Mapping[str, torch.Tensor]:
        seen = [images.flip(3), images] if views == 8 else [images]
        answers = [forward(torch.rot90(image, turn, (2, 3))) for image in seen for turn in turns]
        return {
            name: sum(answer[name].float() for answer in answers) / views for name in answers[0]
        }

    return mean
