"""Training: augmentation, losses, precision, and one way to fit (extra ``train``)."""

from typing import TYPE_CHECKING

from .._optional import import_optional
from ._augment import Augmentation
from ._batches import make_batches
from ._calibrate import calibrate
from ._fit import fit
from ._linear import fit_heads
from ._losses import head_loss
from ._novelty import fit_novelty
from ._precision import depthwise_in_fp32
from ._processes import add_process_options, process_options, step_generator, this_process
from ._schedule import warm_up_and_cosine

if TYPE_CHECKING:
    from ._task import LabelsTask

__all__ = [
    "Augmentation",
    "LabelsTask",
    "add_process_options",
    "calibrate",
    "depthwise_in_fp32",
    "fit",
    "fit_heads",
    "fit_novelty",
    "head_loss",
    "make_batches",
    "process_options",
    "step_generator",
    "this_process",
    "warm_up_and_cosine",
]


def __getattr__(name: str) -> object:
    # A subclass of Lightning's, which is not always installed.
    if name != "LabelsTask":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_optional("lightning.pytorch", extra="train", purpose="for training")
    from ._task import LabelsTask

    return LabelsTask
