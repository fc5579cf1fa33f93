"""A card in words: for the terminal, for notebooks and for the model zoo page."""

import textwrap
from html import escape
from math import floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._card import ModelCard
    from ._parts import Figure

__all__ = ["card_html", "card_rows", "card_text", "figure_text"]

_WIDTH = 88
_LABEL = 14


def figure_text(figure: "Figure") -> str:
    """
    A figure with its error, to the digits that the error allows.

    Parameters
    ----------
    figure : Figure
        The figure.

    Returns
    -------
    text : str
        For example ``"0.952 ± 0.004"``.
    """
    if not 1e-9 < figure.error < 1e9:
        return f"{figure.value:.6g} ± {figure.error:.2g}"
    digits = max(1 - floor(log10(figure.error)), 0)
    return f"{figure.value:.{digits}f} ± {figure.error:.{digits}f}"


def card_rows(card: "ModelCard") -> dict[str, list[str]]:
    """
    What there is to say of a model, without empty rows.

    Parameters
    ----------
    card : ModelCard
        The card.

    Returns
    -------
    rows : dict of list of str
        For each label one or more paragraphs.
    """
    options = ", ".join(f"{name}={value!r}" for name, value in card.options.items())
    rows = {
        "task": [card.task],
        "network": [card.architecture + (f" ({options})" if options else "")],
        **_contract_rows(card),
        "for": [card.intended_use],
        "not for": card.not_for,
        "figures": [
            f"{item.name}: {figure_text(item)} (n = {item.n:,}, {item.split})"
            + (f"; {item.note}" if item.note else "")
            for item in card.figures
        ],
    }
    if training := card.training:
        kept = f"{training.n_train:,} rows; {training.n_validation:,} kept apart: {training.split}"
        made = f"{training.date}, seed {training.seed}, recipe {training.recipe}"
        rows["training"] = [training.data, kept, made]
    if weights := card.weights:
        stored = f"{weights.n_parameters:,} parameters as {weights.dtype}"
        size = f"{weights.bytes / 1e6:.3g} MB"
        rows["weights"] = [f"{weights.file}: {stored}, {size}", f"sha256 {weights.sha256}"]
    if licence := card.licence:
        rows["licence"] = [f"weights: {licence.weights}", f"data: {licence.data}"]
    rows["cite"] = card.citations
    if card.astrodlkit_version:
        rows["made with"] = [f"astrodlkit {card.astrodlkit_version}"]
    return {label: list(texts) for label, texts in rows.items() if any(texts)}


def _contract_rows(card: "ModelCard") -> dict[str, list[str]]:
    """What a network takes and gives."""
    rows = {}
    if spec := card.input:
        grid = "{} x {} pixels".format(*spec.shape)
        width = f"; {spec.width:g} Petrosian-90 radii wide" if spec.width else ""
        rows["input"] = [f"bands {', '.join(spec.bands)}; {grid}{width}"]
    if card.output:
        rows["output"] = [f"{head.name}: {', '.join(head.labels)}" for head in card.output.heads]
    if maps := card.maps:
        grid = f"{maps.box_size:g} Mpc across, pixels of {maps.pixel:.4g} Mpc"
        rows["maps"] = [f"{grid}, slabs of {maps.thickness:.4g} Mpc (comoving)"]
        known = [f"{name} {low:g} to {high:g}" for name, (low, high) in maps.domain.items()]
        fixed = [f"{name} = {value:.4g}" for name, value in maps.fixed.items()]
        rows["domain"] = ["; ".join(known), *(["fixed: " + ", ".join(fixed)] if fixed else [])]
    if templates := card.templates:
        side, half_light = templates.side, templates.half_light
        psf = f"{templates.psf_fwhm:.3g} half-light radii (95 %: {templates.psf_fwhm_95:.3g})"
        rows["templates"] = [
            f"bands {', '.join(templates.bands)}; {side} x {side} pixels",
            f"half-light radius {half_light:g} pixels; PSF of {psf}",
        ]
        known = [f"{name} {low:g} to {high:g}" for name, (low, high) in templates.domain.items()]
        rows["domain"] = ["; ".join(known)]
    return rows


def card_text(card: "ModelCard") -> str:
    """
    A card for a terminal, 88 columns wide.

    Parameters
    ----------
    card : ModelCard
        The card.

    Returns
    -------
    text : str
        Lines of printable characters only.
    """
    title = _printable(f"{card.full_name}: {card.title}")
    lines = [*textwrap.wrap(title, _WIDTH), "-" * min(len(title), _WIDTH)]
    for label, texts in card_rows(card).items():
        for i, text in enumerate(texts):
            lines += textwrap.wrap(
                _printable(text),
                _WIDTH,
                initial_indent=f"{'' if i else label:{_LABEL}}",
                subsequent_indent=" " * (_LABEL + 2 * (len(texts) > 1)),
                break_on_hyphens=False,
            )
    return "\n".join(lines)


def card_html(card: "ModelCard") -> str:
    """
    A card for a notebook.

    Parameters
    ----------
    card : ModelCard
        The card.

    Returns
    -------
    html : str
        One table; all text is escaped.
    """
    rows = "".join(
        f"<tr><th style='text-align: left; vertical-align: top'>{escape(label)}</th>"
        f"<td style='text-align: left'>{'<br>'.join(map(escape, texts))}</td></tr>"
        for label, texts in card_rows(card).items()
    )
    return (
        f"<table><caption><b>{escape(card.full_name)}</b>: {escape(card.title)}</caption>"
        f"<tbody>{rows}</tbody></table>"
    )


def _printable(text: str) -> str:
    """Keep control sequences of a foreign card off the terminal."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)
