"""The Galaxy Zoo 2 tree."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from astrodlkit.networks import GALAXY_ZOO_2, Question, VoteTree

TREE = VoteTree(GALAXY_ZOO_2)


def test_eleven_questions_with_37_answers():
    assert len(GALAXY_ZOO_2) == 11
    assert len(set(TREE.columns)) == len(TREE.columns) == 37


@given(seed=st.integers(0, 2**31), scale=st.floats(0, 100))
def test_children_sum_to_their_parent(seed, scale):
    logits = scale * torch.randn(3, 37, generator=torch.Generator().manual_seed(seed))
    votes = TREE(logits)
    assert bool(((votes >= 0) & (votes <= 1)).all())
    for question in GALAXY_ZOO_2:
        children = votes[:, [TREE.columns.index(name) for name in question.columns]].sum(dim=1)
        if question.parent is None:
            parent = torch.ones(3)
        else:
            parent = votes[:, TREE.columns.index(question.parent)]
        torch.testing.assert_close(children, parent, rtol=1e-5, atol=1e-6)


def test_every_logit_gets_a_gradient():
    logits = torch.randn(5, 37, generator=torch.Generator().manual_seed(1)).requires_grad_()
    TREE(logits).square().sum().backward()
    assert bool((logits.grad.abs().sum(dim=0) > 0).all())


def test_equal_logits_share_the_parent_equally():
    votes = dict(zip(TREE.columns, TREE(torch.zeros(1, 37))[0].tolist(), strict=True))
    assert votes["t01_smooth_or_features_a01_smooth"] == pytest.approx(1 / 3)
    assert votes["t02_edgeon_a04_yes"] == pytest.approx(1 / 6)
    assert votes["t11_arms_number_a32_2"] == pytest.approx(1 / 3 / 2 / 2 / 6)


def test_a_parent_must_come_first():
    questions = (Question("b", ("yes", "no"), "a_yes"), Question("c", ("yes", "no")))
    with pytest.raises(ValueError, match="'a_yes' is not an answer of an earlier question"):
        VoteTree(questions)
