"""Any heads, any labels: the losses and the optimizer of a general training."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..networks import HeadsNetwork
from ..specs import InputSpec, OutputSpec
from ._augment import Augmentation
from ._losses import head_loss
from ._precision import depthwise_in_fp32
from ._processes import step_generator
from ._schedule import warm_up_and_cosine

__all__ = ["LabelsTask"]


class LabelsTask(lightning.LightningModule):
    """
    A network with heads, learned from pictures with labels, some of them missing.

    A batch is a tuple: the pictures, uint8 or between 0 and 1, shape
    (n, c, ny, nx) with one or three channels; then the labels of each head of
    ``output``, in its order:

    * classes: int64, shape (n,); -1: not known;
    * fractions: float, shape (n, k): fractions, or numbers of votes, which
      then also weigh the row; a row with a NaN is not known;
    * numbers: float, shape (n, k), in the units that the network was told
      (`~astrodlkit.networks.HeadsNetwork.set_units`); NaN: not known.

    Parameters
    ----------
    network : `~astrodlkit.networks.HeadsNetwork`
        The network to train.
    output : `~astrodlkit.specs.OutputSpec`
        Its heads.
    spec : `~astrodlkit.specs.InputSpec`
        Its input contract.
    augmentation : Augmentation
        Views to train on.
    max_steps : int
        Length of the cosine schedule.
    rate : float, optional
        Largest learning rate of the heads.
    backbone_rate : float, optional
        That of the backbone, as a part of ``rate``.
    weights : dict, optional
        Weight of the loss of each head; 1 by default.
    class_weights : dict, optional
        For heads of classes, a weight for each class.
    smoothing : float, optional
        Label smoothing of classes.
    dropout : float, optional
        Part of the features that is left out in training.
    weight_decay : float, optional
        Of AdamW.
    largest_gradient : float, optional
        Norm to which larger gradients are shortened.
    seed : int, optional
        Seeds the augmentation.

    Raises
    ------
    ValueError
        If weights are given for heads that are not there, or the augmentation
        mirrors what must not be mirrored.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks import HeadsNetwork
    >>> from astrodlkit.specs import Head, InputSpec, OutputSpec, Picture
    >>> from astrodlkit.training import Augmentation, LabelsTask
    >>> task = LabelsTask(
    ...     HeadsNetwork("mobilenetv3_small_050", [{"name": "class", "kind": "classes", "n": 2}]),
    ...     OutputSpec(heads=(Head(name="class", kind="classes", labels=("ring", "other")),)),
    ...     InputSpec(bands=("i", "r", "g"), shape=(32, 32), mean=(0.1,) * 3, std=(0.2,) * 3,
    ...               stretch=Picture()),
    ...     Augmentation(shape=(32, 32)),
    ...     max_steps=10,
    ... )
    >>> bool(task.loss((torch.rand(4, 3, 32, 32), torch.tensor([0, 1, -1, 1]))) > 0)
    True
    """

    def __init__(
        self,
        network: HeadsNetwork,
        output: OutputSpec,
        spec: InputSpec,
        augmentation: Augmentation,
        *,
        max_steps: int,
        rate: float = 1.5e-3,
        backbone_rate: float = 0.5,
        weights: Mapping[str, float] | None = None,
        class_weights: Mapping[str, Sequence[float]] | None = None,
        smoothing: float = 0.03,
        dropout: float = 0.3,
        weight_decay: float = 0.02,
        largest_gradient: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        names = [head.name for head in output.heads]
        for what, given in (("weights", weights), ("class_weights", class_weights)):
            if not set(given or {}) <= set(names):
                raise ValueError(f"{what} must be for heads of {names}, got {sorted(given or {})}")
        if augmentation.mirror and not spec.mirror:
            raise ValueError(
                "augmentation must not mirror, as spec.mirror is False: pass "
                "Augmentation(..., mirror=False)"
            )
        self.network = network
        depthwise_in_fp32(network.backbone)
        self.dropout, self.output, self.augmentation = dropout, output, augmentation
        self.weights = {name: (weights or {}).get(name, 1.0) for name in names}
        self.class_weights = dict(class_weights or {})
        self.smoothing, self.weight_decay = smoothing, weight_decay
        self.max_steps, self.rate, self.backbone_rate = max_steps, rate, backbone_rate
        self.largest_gradient, self.seed = largest_gradient, seed
        for name in ("mean", "std"):
            values = torch.tensor(getattr(spec, name), dtype=torch.float32)[:, None, None]
            self.register_buffer(f"picture_{name}", values, persistent=False)

    def loss(self, batch: Sequence[Tensor], generator: torch.Generator | None = None) -> Tensor:
        """
        Loss of a batch, seen as it is.

        Parameters
        ----------
        batch : tuple of Tensor
            Pictures and labels.
        generator : `torch.Generator`, optional
            In training: draws the features that are left out; the losses of
            the heads are logged.

        Returns
        -------
        loss : Tensor, shape ()
            Sum over the heads, weighted.
        """
        pictures, *labels = batch
        images = (pictures - self.picture_mean) / self.picture_std
        images = images.contiguous(memory_format=torch.channels_last)
        features = self.network.features(images)
        if generator is not None:
            drawn = torch.rand(
                features.shape, generator=generator, dtype=torch.float32, device=generator.device
            )
            kept = (drawn >= self.dropout).to(features.device)
            features = features * kept / (1 - self.dropout)
        scores = self.network.scores(features)
        losses = {}
        for head, known in zip(self.output.heads, labels, strict=True):
            if head.kind == "numbers":
                offset, scale = self.network.units(head.name)
                known = (known - offset) / scale  # noqa: PLW2901
            losses[head.name] = self.weights[head.name] * head_loss(
                head.kind,
                scores[head.name],
                known,
                smoothing=self.smoothing,
                class_weights=self.class_weights.get(head.name),
            )
        if generator is not None:
            self.log_dict({f"training_{name}": value for name, value in losses.items()})
        return torch.stack(list(losses.values())).sum()

    def training_step(self, batch: Sequence[Tensor], _: int) -> Tensor:
        """Loss of a batch, on views of its pictures."""
        pictures, *labels = batch
        generator = step_generator(self.seed, self.global_step, pictures.device)
        views = self.augmentation(_unit(pictures), generator)
        return self.loss((views, *labels), generator)

    def validation_step(self, batch: Sequence[Tensor], _: int) -> None:
        """Loss of a batch, on its pictures at the size of the views."""
        pictures, *labels = batch
        shape = self.augmentation.shape
        views = _unit(pictures)
        if tuple(views.shape[2:]) != tuple(shape):
            views = interpolate(views, shape, mode="bilinear", antialias=True)
        loss = self.loss((views, *labels))
        self.log("validation_loss", loss, batch_size=len(pictures), prog_bar=True, sync_dist=True)

    def on_before_optimizer_step(self, _: torch.optim.Optimizer) -> None:
        """Shorten large gradients; Lightning does not where the optimizer is a fused one."""
        if self.largest_gradient is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.largest_gradient)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with a warm-up and a cosine to zero."""
        backbone = [p for p in self.network.backbone.parameters() if p.requires_grad]
        heads = list(self.network.layers.parameters())
        optimizer = torch.optim.AdamW(
            [
                {"params": backbone, "lr": self.backbone_rate * self.rate},
                {"params": heads, "lr": self.rate},
            ],
            weight_decay=self.weight_decay,
            fused=True,
        )
        schedule = warm_up_and_cosine(optimizer, self.max_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _unit(pictures: Tensor) -> Tensor:
    """Channels between 0 and 1."""
    values = pictures.float()
    return values / 255 if pictures.dtype == torch.uint8 else values
