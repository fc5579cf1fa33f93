"""``astrodlkit demo``: the main job on a picture that everybody has."""

from pathlib import Path

import numpy as np
from astropy.nddata import NDData

from .._typing import Progress
from ._classify import in_words, write_gallery
from ._detect import detect
from ._output import check_output, write_table

__all__ = ["demo"]

# In pixels; what is smaller shows no shape.
_SMALLEST_RADIUS = 5


def demo(folder: Path, *, overwrite: bool, progress: Progress) -> None:
    """
    Detect, cut out and classify the galaxies of the Hubble Deep Field.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Where to write ``galaxies.ecsv`` and ``gallery.png``; made if need be.
    overwrite : bool
        Whether these may exist.
    progress : bool or None
        Whether to show a progress bar; None: if standard error is a terminal.
    """
    table_path, gallery_path = folder / "galaxies.ecsv", folder / "gallery.png"
    folder.mkdir(parents=True, exist_ok=True)
    check_output(table_path, (".ecsv",), overwrite=overwrite)
    check_output(gallery_path, (".png",), overwrite=overwrite)

    from skimage.data import hubble_deep_field

    print("The Hubble Deep Field, as scikit-image carries it: a colour picture without a WCS.")
    picture = hubble_deep_field()
    data = {name: picture[..., i] for i, name in enumerate(("red", "green", "blue"))}
    found = detect(NDData(picture.mean(axis=2)))
    sources = found[found["equivalent_radius"].value >= _SMALLEST_RADIUS]
    print(f"photutils detects {len(found)} sources; {len(sources)} are large enough for a shape.")

    from ..classify import classify_cutouts

    result = classify_cutouts(sources, data, progress=progress)
    write_table(result, table_path, overwrite=overwrite)
    write_gallery(gallery_path, result, data, {}, overwrite=overwrite)
    print(in_words(result) + ".")
    for kind in sorted(set(result["class"]) - {""}):
        members = result[result["class"] == kind]
        surest = members[np.argmax(members["class_probability"])]
        print(
            f"  surest {kind.replace('_', ' ')}: source {surest['label']} "
            f"(probability {surest['class_probability']:.2f})"
        )
    print(f"The table, one row for each source, is in {table_path}")
    print(f"The pictures, class by class, are in {gallery_path}")
