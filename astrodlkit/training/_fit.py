"""One way to train: seeded, with checkpoints, averaged weights and resume."""

from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from .._optional import import_optional
from .._typing import PathLike

__all__ = ["fit"]


def fit(
    task: Any,
    batches: DataLoader,
    *,
    folder: PathLike,
    max_steps: int,
    seed: int,
    decay: float = 0.999,
    checkpoint_every: int = 250,
    precision: str = "bf16-mixed",
    progress: bool = True,
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
    decay : float, optional
        Of the exponential moving average of the weights, which is what the
        task holds afterwards.
    checkpoint_every : int, optional
        Steps between checkpoints.
    precision : str, optional
        As Lightning's trainer takes it.
    progress : bool, optional
        Whether to draw a bar.

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
    lightning.seed_everything(seed)
    folder = Path(folder)
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        max_steps=max_steps,
        precision=precision,
        callbacks=[
            callbacks.EMAWeightAveraging(decay=decay),
            callbacks.ModelCheckpoint(
                folder, save_last=True, every_n_train_steps=checkpoint_every, save_top_k=0
            ),
        ],
        logger=loggers.CSVLogger(folder, name="log", version=0),
        log_every_n_steps=25,
        enable_progress_bar=progress,
        enable_model_summary=False,
    )
    last = folder / "last.ckpt"
    trainer.fit(task, batches, ckpt_path=last if last.exists() else None)
    return task
