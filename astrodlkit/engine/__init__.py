"""The loop from arrays to a network's numbers: device, precision, batches, progress."""

from ._device import BFLOAT16_TOLERANCE, resolve_device, resolve_precision
from ._inference import InferenceCopies
from ._progress import progress_bar
from ._run import check_batch_size, run_batches
from ._threads import prefetch

__all__ = [
    "BFLOAT16_TOLERANCE",
    "InferenceCopies",
    "check_batch_size",
    "prefetch",
    "progress_bar",
    "resolve_device",
    "resolve_precision",
    "run_batches",
]
