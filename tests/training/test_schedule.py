"""Learning rates, by steps and by the clock."""

import pytest
import torch

from astrodlkit.training import _schedule, warm_up_and_cosine


def rates(n, **options):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = warm_up_and_cosine(optimizer, 100, **options)
    found = []
    for _ in range(n):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found


def test_up_and_along_a_cosine_to_nothing():
    found = rates(101)
    assert found[0] == pytest.approx(0.05)
    assert max(found) == pytest.approx(1.0) == found[5]
    assert found[5:] == sorted(found[5:], reverse=True)
    assert found[100] == pytest.approx(0.0, abs=1e-3)


def test_the_clock_stands_for_steps(monkeypatch):
    # It is read at the start and for each rate: half a minute of ten passes each time.
    now = iter(range(0, 1200, 30))
    monkeypatch.setattr(_schedule, "monotonic", lambda: next(now))
    found = rates(20, minutes=10)
    # After half a minute a twentieth is over.
    assert found[0] == pytest.approx(1.0)
    assert found == sorted(found, reverse=True)
    assert found[19] == pytest.approx(0.0, abs=1e-6)
