"""The loss of each kind of head."""

import math

import pytest
import torch

from astrodlkit.training import head_loss


def test_missing_classes_count_nothing():
    scores = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    both = head_loss("classes", scores, torch.tensor([0, -1]))
    alone = head_loss("classes", scores[:1], torch.tensor([0]))
    torch.testing.assert_close(2 * both, alone)
    assert head_loss("classes", scores, torch.tensor([-1, -1])) == 0


def test_class_weights():
    scores = torch.zeros(1, 2)
    loss = head_loss("classes", scores, torch.tensor([1]), class_weights=(1.0, 3.0))
    assert float(loss) == pytest.approx(3 * math.log(2))


def test_votes_are_weighed_by_their_number():
    scores = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    counts = torch.tensor([[30.0, 0.0], [0.0, 10.0]])
    log_p = scores.log_softmax(dim=1)
    wanted = -(30 * log_p[0, 0] + 10 * log_p[1, 1]) / 40
    torch.testing.assert_close(head_loss("fractions", scores, counts), wanted)
    # The same shares of ten times the votes are the same labels.
    torch.testing.assert_close(head_loss("fractions", scores, 10 * counts), wanted)


def test_fractions_are_best_at_the_label():
    label = torch.tensor([[0.2, 0.8], [float("nan"), 0.5]])
    scores = torch.tensor([[0.2, 0.8], [0.5, 0.5]]).log().requires_grad_()
    head_loss("fractions", scores, label).backward()
    torch.testing.assert_close(scores.grad, torch.zeros(2, 2), atol=1e-6, rtol=0)


def test_numbers_are_best_at_the_label_and_its_scatter():
    off = torch.tensor([1.0, -1.0, 3.0, -3.0])
    deviation = torch.full((4,), math.sqrt(5.0))
    scores = torch.stack([torch.zeros(4), deviation], dim=1)[:, None].requires_grad_()
    head_loss("numbers", scores, off[:, None]).backward()
    torch.testing.assert_close(scores.grad.sum(dim=0), torch.zeros(1, 2), atol=1e-6, rtol=0)


def test_missing_numbers_have_no_gradient():
    scores = torch.ones(2, 1, 2, requires_grad=True)
    head_loss("numbers", scores, torch.tensor([[0.0], [float("nan")]])).backward()
    assert scores.grad[0].any()
    assert not scores.grad[1].any()
    assert torch.isfinite(scores.grad).all()
