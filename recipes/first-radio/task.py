"""What the radio sources may be told besides one class each: mixtures, and what is fainter."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from astrodlkit.training import LabelsTask, step_generator


class SharesTask(LabelsTask):
    """
    As `LabelsTask`, with a share of each class as the label of a picture.

    Parameters
    ----------
    mix : float
        Largest part of another picture, and of its label, that is mixed into each one.
    fade : float
        Probability that a source is shown as if it were fainter: what is below a threshold of up
        to a twentieth of its peak is lost in the noise, and so black.
    """

    def __init__(self, *args: Any, mix: float = 0.0, fade: float = 0.0, **options: Any) -> None:
        super().__init__(*args, **options)
        self.mix, self.fade = mix, fade

    def training_step(self, batch: Sequence[Tensor], _: int) -> Tensor:
        """Loss of a batch, on mixed views of its pictures."""
        pictures, shares = batch
        n = len(pictures)
        generator = step_generator(self.seed, self.global_step, pictures.device)

        def uniform(high: float) -> Tensor:
            return high * torch.rand(n, generator=generator, device=generator.device)

        pictures = pictures / 255
        if self.fade:
            lost = torch.where(uniform(1.0) < self.fade, uniform(0.05), 0.0)
            # Pictures are square roots.
            pictures = pictures * (pictures.square() >= lost[:, None, None, None])
        # In bf16, maps from views to pictures are off by a fifth of a pixel.
        with torch.autocast(pictures.device.type, enabled=False):
            views = self.augmentation(pictures, generator)
        if self.mix:
            part = uniform(self.mix)
            other = torch.randperm(n, generator=generator, device=generator.device)
            views = torch.lerp(views, views[other], part[:, None, None, None])
            shares = torch.lerp(shares, shares[other], part[:, None])
        return self.loss((views, shares), generator)
