"""The loop from arrays to a network's numbers: device, precision, batches, progress."""

from ._device import BFLOAT16_TOLERANCE, resolve_device, resolve_precision
from ._fingerprint import fingerprint
from ._inference import InferenceCopies
from ._parts import TableParts, write_durably, write_parts
from ._progress import progress_bar
from ._run import check_batch_size, run_batches
from ._source import open_rows
from ._threads import map_ahead, prefetch

__all__ = [
    "BFLOAT16_TOLERANCE",
    "InferenceCopies",
    "TableParts",
    "check_batch_size",
    "fingerprint",
    "map_ahead",
    "open_rows",
    "prefetch",
    "progress_bar",
    "resolve_device",
    "resolve_precision",
    "run_batches",
    "write_durably",
    "write_parts",
]
