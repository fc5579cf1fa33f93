"""The losses: every label says something about the same 37 votes."""

import lightning.pytorch as lightning
import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from astrodlkit.networks import GALAXY_ZOO_2, GalaxyZooNetwork
from astrodlkit.specs import InputSpec
from astrodlkit.training import (
    Augmentation,
    depthwise_in_fp32,
    step_generator,
    this_process,
    warm_up_and_cosine,
)

N_GALAXY_ZOO_1 = 5
N_HUBBLE = 17
COLUMNS = tuple(column for question in GALAXY_ZOO_2 for column in question.columns)
SMOOTH, FEATURED, ARTIFACT, SPIRAL, ODD, NOT_ODD = (
    COLUMNS.index(name)
    for name in (
        "t01_smooth_or_features_a01_smooth",
        "t01_smooth_or_features_a02_features_or_disk",
        "t01_smooth_or_features_a03_star_or_artifact",
        "t04_spiral_a08_spiral",
        "t06_odd_a14_yes",
        "t06_odd_a15_no",
    )
)


class VotesTask(lightning.LightningModule):
    """
    Galaxy Zoo votes from all the labels at hand.

    The votes of the challenge are fitted directly. The votes of Hart et al.,
    before and after debiasing, are the same logits seen through a scale and an
    offset for each answer. The five classes and the weak labels are rules on the votes, and
    reach them through those rules. Galaxy Zoo 1 and EFIGI teach the backbone
    through heads of their own, which are thrown away. Where earlier networks are
    teachers, their mean answer stands in for the votes that nobody has given.

    Parameters
    ----------
    network : GalaxyZooNetwork
        The network to train.
    spec : InputSpec
        Its input contract.
    augmentation : Augmentation
        Views to train on.
    max_steps : int
        Length of the cosine schedule.
    rate : float
        Largest learning rate of the heads; the backbone's is half of it.
    drop_path : float
        Probability that a picture skips the last residual block; less for earlier ones.
    seed : int
        Seeds the augmentation.
    """

    def __init__(
        self,
        network: GalaxyZooNetwork,
        spec: InputSpec,
        augmentation: Augmentation,
        *,
        max_steps: int,
        rate: float = 1.5e-3,
        drop_path: float = 0.15,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        depthwise_in_fp32(network.backbone)
        _drop_paths(network.backbone, drop_path)
        self.dropout = nn.Dropout(0.3)
        n_features = network.backbone.num_features
        self.debiased, self.weighted = ScaleAndOffset(), ScaleAndOffset()
        self.rule_sharpness = nn.Parameter(torch.tensor(2.0))
        self.galaxy_zoo_1 = nn.Linear(n_features, N_GALAXY_ZOO_1)
        self.hubble = nn.Linear(n_features, N_HUBBLE)
        self.spec, self.augmentation = spec, augmentation
        self.max_steps, self.rate, self.seed = max_steps, rate, seed

    def on_train_start(self) -> None:
        """What is left out is not the same in all processes."""
        if rank := this_process().rank:
            torch.manual_seed(1_000_003 * self.seed + rank)

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        """Loss of a batch: pictures and the nine kinds of labels."""
        pictures, *labels = batch
        generator = step_generator(self.seed, self.global_step, pictures.device)
        views = self.augmentation(pictures.permute(0, 3, 1, 2).float() / 255, generator)
        mean = views.new_tensor(self.spec.mean)[:, None, None]
        std = views.new_tensor(self.spec.std)[:, None, None]
        images = ((views - mean) / std).contiguous(memory_format=torch.channels_last)
        features = self.dropout(self.network.features(images))
        with torch.autocast(features.device.type, enabled=False):
            losses = self._losses(features, *labels)
        self.log_dict(losses)
        return sum(losses.values())

    def _losses(self, features: Tensor, *labels: Tensor) -> dict[str, Tensor]:
        votes, debiased, weighted, class5, group, odd_spiral, galaxy_zoo_1, hubble, taught = labels
        network = self.network
        logits = network.votes(features)
        predicted = network.tree(logits)
        seen_debiased, seen_weighted = (
            network.tree(system(logits)) for system in (self.debiased, self.weighted)
        )
        class_logits = network.classes(predicted)
        sharpness = self.rule_sharpness.exp()
        five = predicted[:, [SMOOTH, FEATURED, ARTIFACT, ODD, NOT_ODD]] * sharpness
        triple = torch.sigmoid(2 * sharpness * (predicted[:, [FEATURED, SPIRAL, ODD]] - 0.5))
        odd = triple.prod(dim=1).clamp(1e-4, 1 - 1e-4)
        return {
            "votes": 40 * _mean_square(predicted, votes),
            "debiased": 20 * _mean_square(seen_debiased, debiased),
            "weighted": 20 * _mean_square(seen_weighted, weighted),
            "class": 0.5 * _cross_entropy(class_logits, class5),
            "group": 0.25 * _cross_entropy(five, group),
            "odd": 0.1 * _cross_entropy(torch.stack([1 - odd, odd], 1).log(), odd_spiral),
            "galaxy_zoo_1": 0.15 * _cross_entropy(self.galaxy_zoo_1(features), galaxy_zoo_1),
            "taught": 20 * _mean_square(predicted, taught),
            "hubble": 2 * _mean_square(self.hubble(features), hubble),
        }

    def configure_optimizers(self) -> dict[str, object]:
        """AdamW with a warm-up and a cosine to zero."""
        backbone = list(self.network.backbone.parameters())
        known = {id(parameter) for parameter in backbone}
        heads = [p for p in self.parameters() if id(p) not in known]
        optimizer = torch.optim.AdamW(
            [{"params": backbone, "lr": 0.5 * self.rate}, {"params": heads, "lr": self.rate}],
            weight_decay=0.02,
            fused=True,
        )
        schedule = warm_up_and_cosine(optimizer, self.max_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class ScaleAndOffset(nn.Module):
    """Another system of votes: logits through a scale and an offset for each answer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(len(COLUMNS)))
        self.offset = nn.Parameter(torch.zeros(len(COLUMNS)))

    def forward(self, logits: Tensor) -> Tensor:
        """Logits of the other system."""
        return logits * self.scale + self.offset


def _drop_paths(backbone: nn.Module, rate: float) -> None:
    """Stochastic depth (Huang et al. 2016, ECCV) in the residual blocks of a timm model."""
    blocks = [m for m in backbone.modules() if isinstance(getattr(m, "drop_path", 0), nn.Identity)]
    for i, block in enumerate(blocks):
        block.drop_path = DropPath(rate * (i + 1) / len(blocks))


def _mean_square(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Mean over the batch's known rows, weighted by how many of its rows are known."""
    known = torch.isfinite(wanted)
    difference = torch.where(known, predicted - wanted.nan_to_num(), 0.0)
    return difference.square().sum() / wanted.numel()


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """As `_mean_square`; the label -1 is not known."""
    return cross_entropy(
        logits, labels, ignore_index=-1, reduction="sum", label_smoothing=0.03
    ) / len(labels)
