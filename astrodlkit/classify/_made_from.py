"""What the checkpoints in a folder were made from, so that only the same training goes on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._typing import PathLike
from ..engine import fingerprint, write_durably
from ..engine._parts import differences

__all__ = ["check_folder"]

_NAME = "made_from.json"


def check_folder(
    folder: PathLike, content: Mapping[str, Any], settings: Mapping[str, str | float | None]
) -> None:
    """
    See that checkpoints in a folder are of this training, and write down what it is of.

    Parameters
    ----------
    folder : path
        Of the checkpoints; made if need be.
    content : dict
        What is told by a checksum.
    settings : dict
        What is told by its value.

    Raises
    ------
    ValueError
        If there is a checkpoint of another training, or of one of which nothing
        is written down.
    """
    folder = Path(folder)
    path = folder / _NAME
    now: dict[str, dict[str, Any]] = {
        "content": {name: fingerprint(each) for name, each in content.items()},
        "settings": dict(settings),
    }
    # Without a checkpoint nothing would be resumed.
    if (folder / "last.ckpt").exists():
        if not path.exists():
            raise ValueError(
                f"folder has a checkpoint, {folder / 'last.ckpt'}, but no {_NAME} that says what "
                "it is of: pass another folder, or remove this one"
            )
        there = json.loads(path.read_text())
        names = [
            name for name, each in now["content"].items() if there["content"].get(name) != each
        ]
        changed = differences(there["settings"], now["settings"])
        words = "; ".join([*names, changed] if changed else names)
        if words:
            raise ValueError(
                f"folder has checkpoints of another training, which differs in {words}. Go on "
                f"with that one by the same call, or pass another folder than {str(folder)!r}"
            )
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(now, indent=1) + "\n"
    write_durably(path, lambda part: part.write_text(text))
