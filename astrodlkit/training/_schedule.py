"""Learning rates along a training."""

import math
from time import monotonic

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

__all__ = ["warm_up_and_cosine"]


def warm_up_and_cosine(
    optimizer: Optimizer, max_steps: int, *, minutes: float | None = None
) -> LambdaLR:
    """
    A twentieth of the steps upwards, the rest along a cosine to zero.

    Parameters
    ----------
    optimizer : `torch.optim.Optimizer`
        With the largest rates.
    max_steps : int
        Steps of the training.
    minutes : float, optional
        Where a training ends by the clock: how long it takes from now; the
        part that is over stands for that of ``max_steps``.

    Returns
    -------
    schedule : `torch.optim.lr_scheduler.LambdaLR`
        To step once after each step of the optimizer.

    References
    ----------
    Goyal et al. 2017, arXiv:1706.02677, section 2.2 (warm-up); Loshchilov &
    Hutter 2017, ICLR, equation 5 (cosine).

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.training import warm_up_and_cosine
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    >>> schedule = warm_up_and_cosine(optimizer, 100)
    >>> round(schedule.get_last_lr()[0], 3)
    0.1
    """
    n_up = max(1, max_steps // 20)
    n_down = max(1, max_steps - n_up)
    start = monotonic()

    def factor(step: float) -> float:
        if minutes is not None:
            step = max_steps * (monotonic() - start) / (60 * minutes)
        if step < n_up:
            return 0.05 + 0.95 * step / n_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - n_up) / n_down)))

    return LambdaLR(optimizer, factor)
