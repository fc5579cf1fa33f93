"""Configuration of the tests: report header, hypothesis profiles, development data."""

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from pytest_astropy_header.display import PYTEST_HEADER_MODULES, TESTED_VERSIONS

import astrodlkit

# In ci the examples are the same in every run, and a slow machine is no failure.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure() -> None:
    PYTEST_HEADER_MODULES.clear()
    for name in ("astropy", "numpy", "photutils", "reproject", "torch", "torchvision", "timm"):
        PYTEST_HEADER_MODULES[name] = name
    TESTED_VERSIONS["astrodlkit"] = astrodlkit.__version__


@pytest.fixture(scope="session")
def development_data() -> Callable[[str], Path]:
    """Find a file of the folder that ASTRODLKIT_DATA names, or skip the test."""

    def find(name: str) -> Path:
        folder = os.environ.get("ASTRODLKIT_DATA")
        if not folder:
            pytest.skip("development data are needed: ASTRODLKIT_DATA names no folder")
        path = Path(folder, name)
        if not path.exists():
            pytest.skip(f"development data are needed: {name} is not in ASTRODLKIT_DATA")
        return path

    return find
