"""Progress of a long loop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from .._typing import Progress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(
    total: int, progress: Progress = None, *, description: str = "", unit: str = "row"
) -> Iterator[Callable[[int], None]]:
    """
    Show how far a loop has come.

    Parameters
    ----------
    total : int
        Number of steps.
    progress : bool or callable, optional
        `True` shows a bar, `False` none, `None` one if standard error is a
        terminal; a callable is called with ``(done, total)`` after every
        step instead.
    description : str
        Text before the bar.
    unit : str
        What a step is.

    Yields
    ------
    advance : callable
        To be called with the number of steps just done.

    Raises
    ------
    TypeError
        If ``progress`` is of another type.

    Examples
    --------
    >>> from astrodlkit.engine import progress_bar
    >>> with progress_bar(4, print) as advance:
    ...     advance(3)
    ...     advance(1)
    3 4
    4 4
    """
    if callable(progress):
        done = 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            progress(done, total)

        yield advance
    elif progress is None or isinstance(progress, bool):
        hidden = None if progress is None else not progress
        with tqdm(total=total, desc=description, unit=unit, disable=hidden) as bar:
            yield bar.update
    else:
        raise TypeError(
            f"progress must be True, False, None or a callable, got {type(progress).__name__}"
        )
