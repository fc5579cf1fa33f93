import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit.engine import run_batches

CPU = torch.device("cpu")


def images(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    layers = [
        torch.nn.Conv2d(3, 8, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(1568, 4),
    ]
    module = torch.nn.Sequential(*layers).eval()
    return lambda x: {"numbers": module(x), "again": 2 * module(x)}


def test_the_numbers_are_the_networks(network):
    x = images(5)
    with torch.no_grad():
        expected = network(torch.from_numpy(x))
    found = run_batches(network, x, batch_size=2, device=CPU)
    assert list(found) == ["numbers", "again"]
    for name, values in found.items():
        assert values.dtype == np.float32
        assert_allclose(values, expected[name], atol=1e-6)


@given(n=st.integers(1, 70), batch_size=st.integers(1, 80), data=st.data())
def test_batch_size_order_and_neighbours_do_not_matter(network, n, batch_size, data):
    x = images(n)
    order = data.draw(st.permutations(range(n)))[: data.draw(st.integers(1, n))]
    whole = run_batches(network, x, batch_size=256, device=CPU)["numbers"]
    part = run_batches(network, x[order], batch_size=batch_size, device=CPU)["numbers"]
    assert_allclose(part, whole[order], atol=1e-5)


def test_no_rows_give_typed_arrays_without_rows(network):
    found = run_batches(network, images(0), batch_size=8, device=CPU)
    assert {name: (v.shape, v.dtype) for name, v in found.items()} == {
        "numbers": ((0, 4), np.float32),
        "again": ((0, 4), np.float32),
    }


def test_bfloat16_is_near_and_comes_back_as_float32(network):
    x = images(8)
    full = run_batches(network, x, batch_size=8, device=CPU)["numbers"]
    short = run_batches(network, x, batch_size=8, device=CPU, precision="bfloat16")["numbers"]
    assert short.dtype == np.float32
    assert 0 < np.abs(short - full).max() < 0.05


def test_no_gradients_are_kept_and_the_switch_is_put_back(network):
    seen = []

    def forward(x):
        seen.append(torch.is_inference_mode_enabled())
        return network(x)

    run_batches(forward, images(1), batch_size=1, device=CPU)
    assert seen == [True]
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "8", None, True])
def test_a_wrong_batch_size(network, batch_size):
    with pytest.raises(ValueError, match="batch_size must be a positive integer, got"):
        run_batches(network, images(1), batch_size=batch_size, device=CPU)


def test_two_threads_give_the_same_numbers(network):
    x = images(40)
    expected = run_batches(network, x, batch_size=16, device=CPU)["numbers"]
    found = [None, None]

    def work(place):
        found[place] = run_batches(network, x, batch_size=16, device=CPU)["numbers"]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for numbers in found:
        assert_array_equal(numbers, expected)


@pytest.fixture
def threads():
    """Sets torch's number of threads, and puts it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_pieces_are_computed_by_several_threads_and_come_back_in_order(network, threads):
    x = images(200)
    threads(1)
    expected = run_batches(network, x, batch_size=8, device=CPU)["numbers"]
    threads(3)
    seen = {}
    together = threading.Barrier(3, timeout=20)

    def forward(batch):
        if threading.get_ident() not in seen:
            seen[threading.get_ident()] = torch.get_num_threads(), torch.is_inference_mode_enabled()
            together.wait()
        return network(batch)

    found = run_batches(forward, x, batch_size=8, device=CPU)["numbers"]
    assert_array_equal(found, expected)
    assert list(seen.values()) == [(1, True)] * 3
    assert threading.get_ident() not in seen


def test_few_pieces_have_several_threads_each(network, threads):
    threads(4)
    seen = []

    def forward(batch):
        seen.append(torch.get_num_threads())
        return network(batch)

    run_batches(forward, images(20), batch_size=10, device=CPU)
    assert seen == [2, 2]
    run_batches(forward, images(20), batch_size=20, device=CPU)
    assert seen == [2, 2, 4]


def test_torchs_number_of_threads_stays_what_it_is(network, threads):
    threads(3)
    run_batches(network, images(40), batch_size=8, device=CPU)
    assert torch.get_num_threads() == 3
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 3


def test_an_error_of_the_network_arrives_from_its_thread(threads):
    threads(2)
    with pytest.raises(RuntimeError, match="shape"):
        run_batches(lambda x: {"numbers": x.reshape(-1, 7)}, images(40), batch_size=8, device=CPU)
    assert torch.get_num_threads() == 2
