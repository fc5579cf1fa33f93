"""One way to train: seeded, with checkpoints, averaged weights and resume."""

import logging
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from .._optional import import_optional
from .._typing import PathLike, Progress

__all__ = ["fit"]


def fit(
    task: Any,
    batches: DataLoader,
    *,
    folder: PathLike,
    max_steps: int,
    seed: int,
    stop_at: int | None = None,
    decay: float | None = None,
    checkpoint_every: int = 250,
    precision: str = "bf16-mixed",
    progress: Progress = True,
    validation: DataLoader | None = None,
    patience: int | None = None,
    **trainer: Any,
) -> Any:
    """
    Fit a task, or go on where an earlier call was interrupted.

    Parameters
    ----------
    task : `lightning.pytorch.LightningModule`
        Network, losses and optimizer.
    batches : `torch.utils.data.DataLoader`
        Training batches; passed over again until ``max_steps``.
    folder : path
        For checkpoints and the log; made if it is missing. A checkpoint in it
        is resumed.
    max_steps : int
        Optimizer steps in all.
    seed : int
        Seeds Python, numpy and torch.
    stop_at : int, optional
        Stop after so many steps; the same call with a later one, or without,
        goes on.
    decay : float, optional
        Of the exponential moving average of the weights, which is what the
        task holds afterwards. By default the average is over the last tenth of
        ``max_steps``, 1,000 at most: a longer one would still hold weights
        from before they were trained.
    checkpoint_every : int, optional
        Steps between checkpoints; with ``patience`` there is one after each
        epoch instead.
    precision : str, optional
        As Lightning's trainer takes it.
    progress : bool or callable, optional
        Whether to draw a bar; a callable is called with ``(done, total)`` after
        each pass over ``batches`` instead.
    validation : `torch.utils.data.DataLoader`, optional
        Validation batches, passed over after each pass over ``batches``; the
        task logs ``validation_loss``.
    patience : int, optional
        Stop when as many passes have not brought a smaller
        ``validation_loss``; the task then holds the weights of the smallest.
    **trainer
        More of Lightning's trainer: ``max_epochs``, which its bar shows, or
        ``devices=2, strategy="ddp"`` for two processes: each then runs the
        whole script, and what follows is for one of them (`this_process`).

    Returns
    -------
    task : `lightning.pytorch.LightningModule`
        The same task, with the averaged weights.

    Raises
    ------
    astrodlkit.exceptions.MissingDependencyError
        If Lightning is not installed.
    """
    lightning = import_optional("lightning.pytorch", extra="train", purpose="for training")
    callbacks = import_optional(
        "lightning.pytorch.callbacks", extra="train", purpose="for training"
    )
    loggers = import_optional("lightning.pytorch.loggers", extra="train", purpose="for training")
    isolate_rng = import_optional(
        "lightning.pytorch.utilities.seed", extra="train", purpose="for training"
    ).isolate_rng
    # Its notices of devices, and advertisements.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    folder = Path(folder)
    if decay is None:
        decay = 1 - 1 / max(2.0, min(1000.0, max_steps / 10))
    # With a validation, after it: what is last must know which is best.
    when: dict[str, Any] = {"every_n_train_steps": checkpoint_every}
    if patience is not None:
        when = {"every_n_epochs": 1, "save_on_train_epoch_end": True}
    last = callbacks.ModelCheckpoint(folder, save_last=True, save_top_k=0, **when)
    kept = [last]
    # Where none was due, one is written at the end: before the averaged weights are put in.
    first = callbacks.LambdaCallback(on_train_end=last.on_train_end)
    averaging = callbacks.WeightAveraging(avg_fn=partial(_average, decay=decay))
    if patience is not None:
        best = callbacks.ModelCheckpoint(
            folder, filename="best", monitor="validation_loss", enable_version_counter=False
        )
        # The first one's path comes back from other processes.
        kept = [best, last, callbacks.EarlyStopping("validation_loss", patience=patience)]
    if callable(progress):
        kept.append(
            callbacks.LambdaCallback(on_train_epoch_end=partial(_report, progress, max_steps))
        )
    path = folder / "last.ckpt"
    with ExitStack() as stack, warnings.catch_warnings():
        # Left by hand: at an exception it would not put the states back.
        isolated = isolate_rng()
        isolated.__enter__()
        stack.callback(isolated.__exit__, None, None, None)
        # Advice on loaders and logs, which are as they should be here.
        warnings.filterwarnings("ignore", module=r"lightning\.")
        lightning.seed_everything(seed, verbose=False)
        runner = lightning.Trainer(
            max_steps=max_steps if stop_at is None else min(stop_at, max_steps),
            precision=precision,
            callbacks=[first, averaging, *kept],
            logger=loggers.CSVLogger(folder, name="log", version=0),
            log_every_n_steps=25,
            enable_progress_bar=bool(progress) and not callable(progress),
            enable_model_summary=False,
            **{"accelerator": "auto", "devices": 1, **trainer},
        )
        if runner.num_devices * runner.num_nodes == 1:
            # The averaged weights are made where these are.
            task.to(runner.strategy.root_device)
        try:
            runner.fit(task, batches, validation, ckpt_path=path if path.exists() else None)
        except SystemExit as exc:
            # Lightning ends Python at an interrupt, which is for the caller to do.
            if isinstance(exc.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from exc
            raise
    if patience is not None and best.best_model_path:
        # The averaged weights, as in every checkpoint.
        saved = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
        task.load_state_dict(saved["state_dict"])
        # The folder may be gone when the first process goes on.
        runner.strategy.barrier()
    return task


def _report(progress: Callable[[int, int], object], max_steps: int, runner: Any, _: Any) -> None:
    """Tell how many passes are done."""
    if runner.is_global_zero:
        total = runner.max_epochs or -1
        if total < 0:
            total = -(-max_steps // runner.num_training_batches)
        progress(runner.current_epoch + 1, total)


def _average(averaged: Tensor, current: Tensor, _: int, *, decay: float) -> Tensor:
    """Exponential moving average; torch's own cannot be sent to another process."""
    return decay * averaged + (1 - decay) * current
