import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from astrodlkit.engine import prefetch
from astrodlkit.engine._threads import worker_pool


def test_prefetch_keeps_the_order():
    assert list(prefetch(iter(range(20)))) == list(range(20))
    assert list(prefetch([])) == []


def test_prefetch_works_ahead_by_one_in_another_thread():
    made = []

    def items():
        for i in range(5):
            made.append((i, threading.current_thread() is threading.main_thread()))
            yield i

    taken = prefetch(items())
    assert next(taken) == 0
    time.sleep(0.2)
    assert made == [(0, False), (1, False)]
    taken.close()


def test_an_error_on_the_way_arrives():
    def items():
        yield 1
        raise ValueError("the second")

    taken = prefetch(items())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="the second"):
        next(taken)


def test_workers_have_their_number_of_torchs_threads_and_others_keep_theirs():
    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with worker_pool(2, threads=2) as pool:
            assert list(pool.map(lambda _: torch.get_num_threads(), range(8))) == [2] * 8
            assert torch.get_num_threads() == 3
            with ThreadPoolExecutor(1) as other:
                assert other.submit(torch.get_num_threads).result() == 3
            # From a thread with another number.
            with worker_pool(1, threads=1) as other:
                inner = other.submit(lambda: list(prefetch([torch.get_num_threads()]))).result()
                assert inner == [1]
                assert other.submit(torch.get_num_threads).result() == 1
            with ThreadPoolExecutor(1) as other:
                assert other.submit(torch.get_num_threads).result() == 3
        assert list(prefetch(torch.get_num_threads() for _ in range(3))) == [1, 1, 1]
    finally:
        torch.set_num_threads(usual)
