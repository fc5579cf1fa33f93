"""Deep learning for ordinary astronomy scripts, on astropy's types."""

from importlib import import_module
from importlib.metadata import version as _version

__version__ = _version("astrodlkit")

# Loaded at first use (PEP 562): torch takes seconds to import.
_HOMES = {
    "Cutouts": "astrodlkit.cutouts",
    "CutoutClassifier": "astrodlkit.classify",
    "DensityMapEmulator": "astrodlkit.cosmicweb",
    "Flag": "astrodlkit._flags",
    "GalaxySimulator": "astrodlkit.galaxies",
    "ModelCard": "astrodlkit.pretrained",
    "classify_cutouts": "astrodlkit.classify",
    "decode_flags": "astrodlkit._flags",
    "describe_model": "astrodlkit.pretrained",
    "emulate_density_maps": "astrodlkit.cosmicweb",
    "extract_cutouts": "astrodlkit.cutouts",
    "find_similar": "astrodlkit.classify",
    "insert_cutouts": "astrodlkit.galaxies",
    "list_models": "astrodlkit.pretrained",
    "load_model": "astrodlkit.pretrained",
    "simulate_galaxies": "astrodlkit.galaxies",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'astrodlkit' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
