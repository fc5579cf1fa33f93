"""Configuration of the documentation's build."""

import os
import sys
from pathlib import Path

import astrodlkit

here = Path(__file__).parent

project = "astrodlkit"
author = "The astrodlkit developers"
copyright = "2026, the astrodlkit developers"
version = release = astrodlkit.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx_automodapi.automodapi",
    "sphinx_automodapi.smart_resolver",
    "numpydoc",
    "pytest_doctestplus.sphinx.doctestplus",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "model_zoo",
]
sys.path.insert(0, str(here / "_ext"))

root_doc = "index"
exclude_patterns = ["_build", "gallery_src", "**/sg_execution_times.rst", "sg_execution_times.rst"]
default_role = "obj"
nitpicky = True
# Links into other projects need the network, which the build does without unless asked.
online = "READTHEDOCS" in os.environ or "ASTRODLKIT_DOCS_ONLINE" in os.environ
intersphinx_mapping = {}
if online:
    intersphinx_mapping = {
        "astropy": ("https://docs.astropy.org/en/stable/", None),
        "h5py": ("https://docs.h5py.org/en/stable/", None),
        "lightning": ("https://lightning.ai/docs/pytorch/stable/", None),
        "matplotlib": ("https://matplotlib.org/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "photutils": ("https://photutils.readthedocs.io/en/stable/", None),
        "python": ("https://docs.python.org/3/", None),
        "reproject": ("https://reproject.readthedocs.io/en/stable/", None),
        "torch": ("https://docs.pytorch.org/docs/stable/", None),
    }
_builtins = (
    "bool bytes callable dict float int iterator list module object str tuple None True False"
)
_errors = "FileExistsError FileNotFoundError ImportError KeyboardInterrupt OSError RuntimeError"
_errors += " SystemExit TypeError ValueError AttributeError IndexError KeyError"
nitpick_ignore_regex = [
    (r"py:.*", r"(argparse|astropy|h5py|lightning|matplotlib|numpy|pandas|pathlib|photutils)\..*"),
    (r"py:.*", r"(PIL|galsim|reproject|safetensors|scipy|skimage|timm|torch|torchvision|tqdm)\..*"),
    (r"py:.*", rf"({'|'.join((_builtins + ' ' + _errors).split())})"),
]

autodoc_typehints = "none"
automodapi_toctreedirnm = "generated"
automodapi_inheritance_diagram = False
automodsumm_inherited_members = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery_src",
    "gallery_dirs": "gallery",
    # The page with SDSS frames is run where the frames are, and only shown elsewhere.
    "filename_pattern": "/plot_" if "ASTRODLKIT_DATA" in os.environ else "/plot_(?!sdss)",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "copyfile_regex": r".*\.rst",
    "min_reported_time": 1e9,
    "show_memory": False,
    "show_signature": False,
    "plot_gallery": "True",
}

html_theme = "pydata_sphinx_theme"
html_title = "astrodlkit"
html_static_path = ["_static"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/astrodlkit/astrodlkit",
    "show_toc_level": 2,
    "navigation_with_keys": False,
}
linkcheck_timeout = 30
linkcheck_anchors = False


def _resolve_top_level(app, env, node, contnode):
    """Lead astrodlkit.X to the page of the room that X lives in."""
    head, _, name = node.get("reftarget", "").partition(".")
    first, *rest = name.split(".")
    if head != "astrodlkit" or first not in astrodlkit._HOMES:
        return None
    home = astrodlkit._HOMES[first]
    if home.startswith("astrodlkit._"):
        return None
    return env.get_domain("py").resolve_xref(
        env, node["refdoc"], app.builder, "obj", ".".join([home, first, *rest]), node, contnode
    )


def _hide_private_bases(_app, _name, _obj, _options, bases):
    """A base class that is not public has no page to lead to."""
    bases[:] = [base for base in bases if not base.__module__.startswith("astrodlkit")] or [object]


def setup(app):
    app.connect("missing-reference", _resolve_top_level)
    app.connect("autodoc-process-bases", _hide_private_bases)
