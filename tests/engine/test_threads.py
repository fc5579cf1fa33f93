import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from astrodlkit.engine import map_ahead, prefetch
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


@pytest.mark.parametrize("workers", [1, 3])
def test_map_ahead_keeps_the_order_and_is_so_far_ahead(workers):
    asked = []

    def double(x):
        asked.append(x)
        return 2 * x

    answers = map_ahead(double, range(20), workers=workers)
    assert next(answers) == 0
    assert len(asked) <= 2 * workers + 1
    assert list(answers) == list(range(2, 40, 2))
    assert list(map_ahead(double, [], workers=workers)) == []


def test_map_ahead_hands_on_errors_and_stops_when_it_is_left():
    with pytest.raises(ZeroDivisionError):
        list(map_ahead(lambda x: 1 / x, [1, 0, 2], workers=2))
    answers = map_ahead(abs, range(1000), workers=2)
    next(answers)
    answers.close()
