import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from astrodlkit.pretrained import Figure, save_model

EXTENSIONS = Path(__file__).parents[2] / "docs" / "_ext"

pytest.importorskip("sphinx")

CONF = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(EXTENSIONS)!r})
from astrodlkit.pretrained import _registry
_registry._HOME = Path(__file__).parent.parent / "package"
extensions = ["model_zoo"]
root_doc = "models/index"
default_role = "literal"
"""


@pytest.fixture
def build(tmp_path):
    source = tmp_path / "docs"
    source.mkdir()
    (source / "conf.py").write_text(CONF)

    def build():
        command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "text"]
        done = subprocess.run(
            [*command, source, tmp_path / "out"], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        paths = (tmp_path / "out" / "models").glob("*.txt")
        return {path.name: path.read_text(encoding="utf-8") for path in paths}

    return build


def test_pages_are_written_from_the_cards(tmp_path, build, card, module):
    nasty = "- *not* `a` list_ |of| a\\b things:::"
    card = replace(
        card,
        title=nasty,
        citations=["1. First", nasty],
        figures=[Figure(name=nasty, value=0.9, error=0.1, n=3, split="test")],
    )
    written = save_model(tmp_path / "package" / "weights", card, module)
    cards = tmp_path / "package" / "cards"
    cards.mkdir()
    (tmp_path / "package" / "weights" / "tiny.json").rename(cards / "tiny.json")
    pages = build()
    assert pages.keys() == {"index.txt", "tiny.txt"}
    page = " ".join(pages["tiny.txt"].replace("|", " ").split())
    for text in (nasty.replace("|", " "), "1. First", "load_model('tiny')"):
        assert " ".join(text.split()) in page
    assert written.weights.sha256 in page
    assert "0.90 ± 0.10" in pages["index.txt"]


def test_no_models(tmp_path, build):
    (tmp_path / "docs" / "models").mkdir()
    (tmp_path / "docs" / "models" / "gone.rst").write_text("Gone\n====\n")
    assert build() == {"index.txt": "Model zoo\n*********\n\nThis version comes with no model.\n"}
