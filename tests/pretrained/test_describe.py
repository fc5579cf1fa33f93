from dataclasses import replace

import pytest

from astrodlkit.pretrained import Figure
from astrodlkit.pretrained._describe import card_rows, figure_text


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.95234, 0.0041, "0.9523 ± 0.0041"),
        (0.1049, 0.00052, "0.10490 ± 0.00052"),
        (1234.5, 12.3, "1234 ± 12"),
        (1234.5, 430.0, "1234 ± 430"),
        (0.95, 0.0, "0.95 ± 0"),
        (0.95, 1e-12, "0.95 ± 1e-12"),
        (1e30, 1e29, "1e+30 ± 1e+29"),
    ],
)
def test_a_figure_has_the_digits_of_its_error(value, error, expected):
    figure = Figure(name="a", value=value, error=error, n=1, split="test")
    assert figure_text(figure) == expected


def test_text(saved):
    assert (
        str(saved.card)
        == f"""\
tiny.v1: Stars from galaxies
----------------------------
task          classify
network       tiny (width=4)
input         bands i, r, g; 9 x 8 pixels; 4.24 Petrosian-90 radii wide
output        kind: star, galaxy
for           Tests.
not for       The sky.
figures       accuracy: 0.9523 ± 0.0041 (n = 200, validation)
training      Made up
              1,000 rows; 200 kept apart: crc32 of the id
              2026-01-31, seed 1, recipe recipes/tiny
weights       tiny.safetensors: 130 parameters as float16, {saved.card.weights.bytes / 1e6:.3g} MB
              sha256 {saved.card.weights.sha256}
licence       weights: BSD-3-Clause
              data: none
cite          Nobody 2026
made with     astrodlkit {saved.card.astrodlkit_version}"""
    )


def test_what_is_not_known_is_not_said(card):
    bare = replace(
        card, training=None, licence=None, figures=(), citations=(), intended_use="", not_for=()
    )
    assert list(card_rows(bare)) == ["task", "network", "input", "output"]


def test_a_foreign_card_cannot_write_to_the_terminal_or_the_page(card):
    foreign = replace(card, title="\x1b[2J<script>\u202e", citations=["a\nb & 'c'"])
    assert "\x1b" not in str(foreign)
    assert "\u202e" not in str(foreign)
    assert "a b & 'c'" in str(foreign)
    html = foreign._repr_html_()
    assert "<script>" not in html
    assert "b &amp; &#x27;c&#x27;" in html


def test_html_is_one_table(card):
    html = card._repr_html_()
    assert html.startswith("<table>")
    assert html.endswith("</table>")
    assert html.count("<tr>") == html.count("</tr>") == len(card_rows(card))
    assert "The sky." in html
