"""What pyproject.toml promises is what is tested and installed."""

import configparser
import re
import tomllib
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# LSDB, in scale, needs newer pandas and pyarrow than the oldest tested ones.
APART = {"all", "docs", "scale", "test"}


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_oldest_tested_versions_are_the_lower_bounds(project):
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"]]
    for name in extras.keys() - APART:
        wanted += extras[name]
    bounds = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", w).groups() for w in wanted if "[" not in w)
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    pins = dict(re.findall(r"oldestdeps: ([\w-]+)==([\d.]+)", tox["testenv"]["deps"]))
    assert pins == bounds


def test_all_brings_nearly_every_optional_part(project):
    extras = project["optional-dependencies"]
    named = set(re.findall(r"\w+", extras["all"][0])) - {"astrodlkit"}
    assert named == extras.keys() - APART


def test_every_extra_is_explained(project):
    page = (ROOT / "docs/getting_started/installation.rst").read_text(encoding="utf-8")
    table = re.findall(r"^``(\w+)``  ", page, flags=re.MULTILINE)
    assert sorted(table) == sorted(project["optional-dependencies"].keys() - {"docs", "test"})


def test_cards_and_weights_are_installed():
    pretrained = files("astrodlkit.pretrained")
    cards = {path.name.removesuffix(".json") for path in (pretrained / "cards").iterdir()}
    weights = {path.name for path in (pretrained / "weights").iterdir()}
    assert cards
    for card in cards:
        assert any(name.startswith(card.split(".")[0]) for name in weights)
    assert files("astrodlkit").joinpath("py.typed").is_file()


def test_command_is_installed():
    (command,) = distribution("astrodlkit").entry_points.select(group="console_scripts")
    assert command.name == "astrodlkit"
    assert callable(command.load())


def test_readme_has_the_two_commands():
    readme = (ROOT / "README.rst").read_text(encoding="utf-8")
    assert "python -m pip install . && astrodlkit demo" in readme
    assert "python -m pip install tox && tox -e test" in readme
    assert "python -m pip install tox && tox -e test" in (ROOT / ".ci/run").read_text()
