"""What the recipes share: augmentation, precision, and one way to fit (extra ``train``)."""

from ._augment import Augmentation
from ._fit import fit
from ._precision import depthwise_in_fp32

__all__ = ["Augmentation", "depthwise_in_fp32", "fit"]
