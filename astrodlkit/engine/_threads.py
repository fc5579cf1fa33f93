"""Threads that do not wait for each other."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

import torch

__all__ = ["map_ahead", "prefetch", "worker_pool"]

S = TypeVar("S")
T = TypeVar("T")

# Held while torch's number of threads is another for a moment.
_CHANGING = threading.Lock()


@contextmanager
def worker_pool(workers: int, threads: int) -> Iterator[ThreadPoolExecutor]:
    """
    Workers that each have so many of torch's threads.

    Threads that work on one piece wait for each other at every layer, which
    on a busy machine takes many times as long as the work.

    Parameters
    ----------
    workers : int
        Number of workers.
    threads : int
        Number of torch's threads that each has.

    Yields
    ------
    pool : `~concurrent.futures.ThreadPoolExecutor`
        The workers. Other threads have as many of torch's as before.
    """
    started = threading.Barrier(workers)

    def start(_: int) -> int:
        usual = torch.get_num_threads()  # a thread's first call of torch sets it
        torch.set_num_threads(threads)
        started.wait()
        return usual

    with ThreadPoolExecutor(workers, thread_name_prefix="astrodlkit") as pool:
        with _CHANGING:
            usual = max(pool.map(start, range(workers)))
            # Puts back the number for threads to come; the workers and the caller have theirs.
            other = threading.Thread(target=torch.set_num_threads, args=(usual,))
            other.start()
            other.join()
        yield pool


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """
    Make the next item in a thread while the caller works on the last one.

    Parameters
    ----------
    items : iterable
        What is to be made; one item is held in advance.

    Yields
    ------
    item : object
        The items, in order.

    Examples
    --------
    >>> from astrodlkit.engine import prefetch
    >>> list(prefetch(range(3)))
    [0, 1, 2]
    """
    iterator = iter(items)
    end: Any = object()
    # With one of torch's threads: the others are busy with the caller's work.
    with worker_pool(1, threads=1) as pool:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item


def map_ahead(function: Callable[[S], T], items: Iterable[S], *, workers: int) -> Iterator[T]:
    """
    Call a function in threads while the caller works on earlier answers.

    Parameters
    ----------
    function : callable
        Has one of torch's threads.
    items : iterable
        What it is called with.
    workers : int
        Calls at once, and answers held in advance.

    Yields
    ------
    answer : object
        The answers, in order.

    Examples
    --------
    >>> from astrodlkit.engine import map_ahead
    >>> list(map_ahead(abs, [-1, 2, -3], workers=2))
    [1, 2, 3]
    """
    left = iter(items)
    with worker_pool(workers, threads=1) as pool:
        coming = deque(pool.submit(function, item) for item in islice(left, workers))
        try:
            while coming:
                answer = coming.popleft().result()
                coming.extend(pool.submit(function, item) for item in islice(left, 1))
                yield answer
        finally:
            # Of a caller who has enough, or an error.
            for future in coming:
                future.cancel()
