"""Sphinx extension: the model zoo, one page for each card in the package."""

import re
from pathlib import Path

from astrodlkit.pretrained import describe_model, list_models
from astrodlkit.pretrained._describe import card_rows, figure_text


def setup(app):
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "models"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(folder):
    """Write the pages, touch none that stays as it is, and remove those of models that left."""
    cards = {name: describe_model(name) for name in list_models()}
    pages = {f"{name}.rst": card_page(name, card) for name, card in cards.items()}
    pages["index.rst"] = index_page(cards)
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.rst"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def card_page(name, card):
    rows = [[label, "\n\n".join(map(plain, texts))] for label, texts in card_rows(card).items()]
    return "\n".join(
        [
            *heading(name),
            f"{plain(card.title)}\n",
            ".. code-block:: python\n",
            f"   model = astrodlkit.load_model({name!r})\n",
            *table(rows, widths="15 85"),
        ]
    )


def index_page(cards):
    lines = heading("Model zoo")
    if not cards:
        return "\n".join([*lines, "This version comes with no model.\n"])
    rows = [["Model", "What it does", "How good it is", "Size"]]
    for name, card in cards.items():
        figures = (f"{item.name}: {figure_text(item)}" for item in card.figures)
        size = f"{card.weights.bytes / 1e6:.1f} MB"
        rows.append([f":doc:`{name}`", plain(card.title), "\n\n".join(map(plain, figures)), size])
    return "\n".join(
        [
            *lines,
            "The models that come with the package, from their cards.\n",
            *table(rows, widths="15 40 35 10", header=1),
            ".. toctree::",
            "   :hidden:\n",
            *(f"   {name}" for name in cards),
            "",
        ]
    )


def heading(text):
    return [text, "=" * len(text), ""]


def table(rows, *, widths, header=0):
    lines = [
        ".. list-table::",
        f"   :header-rows: {header}",
        f"   :stub-columns: {1 - header}",
        f"   :widths: {widths}\n",
    ]
    for row in rows:
        for i, cell in enumerate(row):
            start = "   * - " if i == 0 else "     - "
            lines.append(start + cell.replace("\n\n", "\n\n" + " " * len(start)))
    return [*lines, ""]


def plain(text):
    """Text without a meaning for reStructuredText; the escaped space defuses list markers."""
    text = re.sub(r"([\\`*_|])", r"\\\1", " ".join(text.split()))
    return "\\ " + re.sub(r":(?=:)", r":\\", text)
