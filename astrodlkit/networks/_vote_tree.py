"""The decision tree of Galaxy Zoo 2 as a layer: children sum to their parent."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["GALAXY_ZOO_2", "Question", "VoteTree"]


@dataclass(frozen=True)
class Question:
    """
    One question of the tree.

    Parameters
    ----------
    name : str
        Its name in the Galaxy Zoo 2 catalogue.
    answers : tuple of str
        Names of its answers, which take consecutive places in the output.
    parent : str or None
        The answer after which it is asked; None: always.
    """

    name: str
    answers: tuple[str, ...]
    parent: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the answers in the Galaxy Zoo 2 catalogue."""
        return tuple(f"{self.name}_{answer}" for answer in self.answers)


GALAXY_ZOO_2 = (
    Question(
        "t01_smooth_or_features", ("a01_smooth", "a02_features_or_disk", "a03_star_or_artifact")
    ),
    Question("t02_edgeon", ("a04_yes", "a05_no"), "t01_smooth_or_features_a02_features_or_disk"),
    Question("t03_bar", ("a06_bar", "a07_no_bar"), "t02_edgeon_a05_no"),
    Question("t04_spiral", ("a08_spiral", "a09_no_spiral"), "t02_edgeon_a05_no"),
    Question(
        "t05_bulge_prominence",
        ("a10_no_bulge", "a11_just_noticeable", "a12_obvious", "a13_dominant"),
        "t02_edgeon_a05_no",
    ),
    Question("t06_odd", ("a14_yes", "a15_no")),
    Question(
        "t07_rounded",
        ("a16_completely_round", "a17_in_between", "a18_cigar_shaped"),
        "t01_smooth_or_features_a01_smooth",
    ),
    Question(
        "t08_odd_feature",
        (
            "a19_ring",
            "a20_lens_or_arc",
            "a21_disturbed",
            "a22_irregular",
            "a23_other",
            "a24_merger",
            "a38_dust_lane",
        ),
        "t06_odd_a14_yes",
    ),
    Question("t09_bulge_shape", ("a25_rounded", "a26_boxy", "a27_no_bulge"), "t02_edgeon_a04_yes"),
    Question("t10_arms_winding", ("a28_tight", "a29_medium", "a30_loose"), "t04_spiral_a08_spiral"),
    Question(
        "t11_arms_number",
        ("a31_1", "a32_2", "a33_3", "a34_4", "a36_more_than_4", "a37_cant_tell"),
        "t04_spiral_a08_spiral",
    ),
)
"""The 11 questions and 37 answers of Willett et al. 2013, MNRAS, 435, 2835 (their table 2)."""


class VoteTree(nn.Module):
    """
    Logits to vote fractions that respect the tree.

    Each question's answers share the fraction of the answer after which it is
    asked: the softmax over them is multiplied by the parent's fraction.

    Parameters
    ----------
    questions : tuple of Question
        In an order in which parents come before children.

    Raises
    ------
    ValueError
        If a parent does not come first.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.networks import GALAXY_ZOO_2, VoteTree
    >>> votes = VoteTree(GALAXY_ZOO_2)(torch.zeros(1, 37))
    >>> bool(torch.isclose(votes[0, 3:5].sum(), votes[0, 1]))
    True
    """

    def __init__(self, questions: tuple[Question, ...] = GALAXY_ZOO_2) -> None:
        super().__init__()
        self.columns: tuple[str, ...] = ()
        parents: list[int | None] = []
        for question in questions:
            if question.parent is not None and question.parent not in self.columns:
                raise ValueError(
                    f"questions: {question.parent!r} is not an answer of an earlier question"
                )
            known = question.parent is not None
            parents.append(self.columns.index(question.parent) if known else None)
            self.columns += question.columns
        self.parents = tuple(parents)
        self.sizes = tuple(len(question.answers) for question in questions)

    def forward(self, logits: Tensor) -> Tensor:
        """
        Vote fractions.

        Parameters
        ----------
        logits : Tensor, shape (n, n_answers)
            Any real numbers.

        Returns
        -------
        votes : Tensor, shape (n, n_answers)
            Between 0 and 1; the answers of a question sum to their parent.
        """
        parts: list[Tensor] = []
        for scores, parent in zip(logits.split(self.sizes, dim=1), self.parents, strict=True):
            shares = scores.softmax(dim=1)
            if parent is not None:
                shares = shares * torch.cat(parts, dim=1)[:, parent : parent + 1]
            parts.append(shares)
        return torch.cat(parts, dim=1)
