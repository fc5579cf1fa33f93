"""The verb: a table goes in, the same table with morphologies comes out."""

from collections.abc import Sequence
from typing import Any, overload

from astropy.table import QTable

from .._typing import PathLike, Progress
from ..engine import TableParts, resolve_device
from ..pretrained import load_model
from ..specs import LuptonStretch, Picture
from ._classifier import CutoutClassifier
from ._ensemble import ClassifierEnsemble
from ._parts import PART_SIZE, predict_parts
from ._predictor import Predictor
from ._stamps import Bands

__all__ = ["classify_cutouts"]


@overload
def classify_cutouts(
    table: Any,
    data: Any = None,
    *,
    model: PathLike | CutoutClassifier | Sequence[PathLike | CutoutClassifier] = "galaxyzoo2",
    bands: Bands = None,
    size: Any = None,
    stretch: LuptonStretch | Picture | str = "auto",
    views: int = 1,
    interval: float | None = None,
    batch_size: int = 256,
    device: str = "auto",
    progress: Progress = None,
    output: None = None,
    part_size: int = PART_SIZE,
) -> QTable: ...


@overload
def classify_cutouts(
    table: Any,
    data: Any = None,
    *,
    model: PathLike | CutoutClassifier | Sequence[PathLike | CutoutClassifier] = "galaxyzoo2",
    bands: Bands = None,
    size: Any = None,
    stretch: LuptonStretch | Picture | str = "auto",
    views: int = 1,
    interval: float | None = None,
    batch_size: int = 256,
    device: str = "auto",
    progress: Progress = None,
    output: PathLike,
    part_size: int = PART_SIZE,
) -> TableParts: ...


def classify_cutouts(
    table: Any,
    data: Any = None,
    *,
    model: PathLike | CutoutClassifier | Sequence[PathLike | CutoutClassifier] = "galaxyzoo2",
    bands: Bands = None,
    size: Any = None,
    stretch: LuptonStretch | Picture | str = "auto",
    views: int = 1,
    interval: float | None = None,
    batch_size: int = 256,
    device: str = "auto",
    progress: Progress = None,
    output: PathLike | None = None,
    part_size: int = PART_SIZE,
) -> QTable | TableParts:
    """
    Classify the sources of a table by their pictures.

    Parameters
    ----------
    table : table-like, `~astropy.coordinates.SkyCoord` or `~astrodlkit.Cutouts`, n rows
        A Table, QTable, photutils ``SourceCatalog`` or anything that
        ``Table()`` takes, with

        * positions, on the sky or in pixels, under any of the names that
          photutils has used (see `~astrodlkit.extract_cutouts`), beside
          ``data``; or
        * a column ``cutout`` of shape (n, ny, nx) or (n, c, ny, nx), with a
          unit or without; or of objects, which may differ in shape: arrays,
          Quantity, NDData, CCDData, Cutout2D, or None.

        With ``output`` also the path of a Parquet file, or of a folder of
        them, which is read piece by piece.
    data : image, optional
        What `~astrodlkit.extract_cutouts` takes: NDData, CCDData,
        ``(array, wcs)``, an HDU, a FITS path, an array, or a dict or list of
        these, one for each band; or many images: a
        `~astrodlkit.cutouts.TileIndex`, its table or the path or URL of its Parquet file.
    model : str, path or `CutoutClassifier`; or a list of these
        A name of `~astrodlkit.list_models`, a path, or a loaded model. Of
        several with the same output the answers are averaged.
    bands : sequence of str, dict or str, optional
        Names of the data's bands that serve as the red, the green and the
        blue channel, for example ``("i", "r", "g")``; or a dict from the
        model's band to the data's; or one name, which serves as all three.
        By default the model's own band names, or bands that are called red,
        green and blue, or a single band as all three. Three bands without
        names (a list, or a column ``cutout``) are the model's, in its order,
        unless ``bands`` names them.
    size : int, `~astropy.units.Quantity`, str or array_like, optional
        Width of the stamps: pixels (of the first band), an angle, the name of
        a column, or one of these per row. By default it follows the source's
        size where the table has one, as the model was trained (for
        ``galaxyzoo2`` 4.24 Petrosian-90 radii); see Notes. Cutouts that are
        given are used whole.
    stretch : LuptonStretch, Picture or "auto"
        How values become a picture. ``"auto"``: as the model was trained for
        data with a flux unit; a division by 255 for bands called red, green
        and blue without one; else each stamp is scaled to its own brightness,
        with a warning.
    views : {1, 2, 4, 8}
        Number of orientations over which the answers are averaged: the image;
        and turned by 180 degrees; and by 90 and 270; and the four mirrored.
    interval : {0.68, 0.95}, optional
        Part of the truths that an interval covers, whose ends are in two
        further columns for each number; of models with a calibration.
    batch_size : int
        Rows that are prepared and held at a time.
    device : str
        ``"auto"`` (a CUDA device where there is one, else the CPU), ``"cpu"``,
        ``"cuda:1"``, ...
    progress : bool or callable, optional
        `True` shows a bar, `False` none, `None` one if standard error is a
        terminal; a callable is called with ``(done, total)``.
    output : path-like, optional
        A folder for results too long to hold or to lose: Parquet files, each
        written whole or not at all. The same call goes on where an earlier one
        was stopped, and ends with the same bytes; a call with another model,
        input or setting is refused. Pixels of cutouts are not written.
    part_size : int
        Rows in each of these files.

    Returns
    -------
    result : `~astropy.table.QTable`, n rows; or `~astrodlkit.engine.TableParts`
        With ``output``, the folder, whose parts are such tables.
        A copy of the user's columns in their order, then the model's (for
        ``galaxyzoo2`` the 37 vote fractions by their Galaxy Zoo 2 names,
        ``class`` and ``class_probability``), then ``flags`` (see
        `~astrodlkit.decode_flags`). Beside a number stand, by its name and
        these endings, as float32:

        * ``_error``: half the width of its 68 % interval; for the probability
          of a class its statistical error. Of models with a calibration.
        * ``_low`` and ``_high``: the ends of the ``interval``.
        * ``_spread``: standard deviation over the views and models, where
          there are several (of a class's probability, before calibration).

        ``meta["astrodlkit"]`` says where they come from. A row without usable
        pixels has NaN, an empty class and the flag ``no_result``. Columns of
        an earlier result are replaced, and a column ``flags`` of photutils'
        becomes ``photutils_flags``.

    Raises
    ------
    TypeError
        If an argument is of a kind that means nothing.
    ValueError
        If arguments do not go together, the bands cannot be told, a column has
        the name of one of the result's, or ``output`` holds the results of
        another run.
    `~astropy.units.UnitConversionError`
        If a unit cannot be converted.
    astrodlkit.exceptions.UnknownModelError
        If there is no such model.
    astrodlkit.exceptions.MissingDependencyError
        If ``output`` is given and pyarrow or pandas is missing.

    Warns
    -----
    astrodlkit.exceptions.AstrodlkitWarning
        If the table does not say how large its sources are and ``size`` is
        not given: every stamp is then as many pixels wide as the network's
        input. If the data have no flux unit and are no picture.

    See Also
    --------
    CutoutClassifier : Keeps the model, and streams tables of any length.
    ClassifierEnsemble : The same for several models.

    Notes
    -----
    The columns that tell a source's size are listed in the user guide; a row
    takes the first in which it has a positive number. A row without any has
    the flag ``invalid_size`` and no result.

    The result for a row does not depend on the other rows, on their order or
    on ``batch_size``.

    Examples
    --------
    A round, smooth galaxy in an image whose values are nanomaggies:

    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.modeling.models import Sersic2D
    >>> from astropy.nddata import NDData
    >>> from astrodlkit import classify_cutouts
    >>> y, x = np.mgrid[:200, :200]
    >>> galaxy = Sersic2D(amplitude=1, r_eff=12, n=4, x_0=110, y_0=90)(x, y)
    >>> sky = np.random.default_rng(1).normal(scale=0.1, size=galaxy.shape)
    >>> image = NDData(galaxy + sky, unit="nmgy / arcsec2")
    >>> table = {"x": [110], "y": [90], "half_light_radius": [12] * u.pix}
    >>> result = classify_cutouts(table, image)
    >>> print(result["class"][0], result["flags"][0])
    completely_round 32
    """
    predictor: Predictor
    if isinstance(model, Sequence) and not isinstance(model, str):
        predictor = ClassifierEnsemble(load_classifier(each, device) for each in model)
    else:
        predictor = load_classifier(model, device)
    options: dict[str, Any] = {
        "bands": bands,
        "size": size,
        "stretch": stretch,
        "views": views,
        "interval": interval,
        "batch_size": batch_size,
        "progress": progress,
    }
    if output is None:
        return predictor.predict(table, data, **options)
    return predict_parts(predictor, table, data, output=output, part_size=part_size, **options)


def load_classifier(model: PathLike | CutoutClassifier, device: str) -> CutoutClassifier:
    """The classifier that a name or a path stands for, or one that is loaded already."""
    if not isinstance(model, CutoutClassifier):
        loaded = load_model(model, device=device)
        if not isinstance(loaded, CutoutClassifier):
            raise ValueError(f"model must be one for the task 'classify', got {loaded!r}")
        return loaded
    if device != "auto" and resolve_device(device) != model.device:
        raise ValueError(
            f"device is {device!r} but the model is on {str(model.device)!r}: leave device out, "
            "or load the model there"
        )
    return model
