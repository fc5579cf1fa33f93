"""What generated and real templates are compared by."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from clean import Lone
from measure import HALF_LIGHT, growth, morphology
from scipy.ndimage import gaussian_filter, label
from scipy.stats import wasserstein_distance

MEASURES = (
    "gini", "m20", "concentration", "asymmetry", "smoothness", "ellipticity", "r20/r80", "g-r",
    "r-i",
)  # fmt: skip
# Wave numbers of a template, in cycles; power at each is one number, its distances are averaged.
EDGES = (1, 2, 3, 4.5, 6.5, 9.5, 14, 20)
POWERS = tuple(f"power {low:g}" for low in EDGES[:-1])
ASKED = ("magnitude", "ln half-light radius", "axis ratio", "angle")
COLUMNS = (*MEASURES, *POWERS, *ASKED)


def measure_all(
    templates: np.ndarray, noise: np.ndarray, fwhm: np.ndarray, processes: int = 1
) -> np.ndarray:
    """
    `COLUMNS` of templates with noise, (n, n_columns); NaN where one cannot be measured.

    Parameters
    ----------
    templates : `~numpy.ndarray`, (n, 3, side, side)
        With noise.
    noise : `~numpy.ndarray`, (n, 3)
        Its standard deviation.
    fwhm : `~numpy.ndarray`, (n,)
        Of the PSF, in pixels.
    processes : int
        That work at once.
    """
    rows = list(zip(templates, noise, fwhm, strict=True))
    if processes == 1:
        return np.array([_measured(row) for row in rows])
    with ProcessPoolExecutor(processes) as pool:
        return np.array(list(pool.map(_measured, rows, chunksize=8)))


def _measured(row: tuple[np.ndarray, np.ndarray, float]) -> list[float]:
    light, noise, fwhm = row[0].astype(float), row[1].astype(float), float(row[2])
    try:
        # In units in which a picture's light is of order 1, as statmorph's defaults like it.
        lone = _lone(light * 1e4, noise * 1e4, fwhm)
        found = morphology(lone)
    except (ValueError, IndexError, ArithmeticError, AssertionError, RuntimeError):
        return [np.nan] * len(COLUMNS)
    if found["flag"] > 2:
        return [np.nan] * len(COLUMNS)
    # The whole template is the flux that was asked for.
    near = lone.light[1].sum() / 1e4
    radius = growth(light[1], ((len(light[1]) - 1) / 2,) * 2, 0.5)
    angle = (found["angle"] + 90) % 180 - 90
    return [
        found["gini"], found["m20"], found["concentration"], found["asymmetry"],
        found["smoothness"], 1 - found["axis_ratio"], found["r20"] / found["r80"], found["g_r"],
        found["r_i"], *powers(light[1]), -2.5 * np.log10(max(near, 1e-3)),
        np.log(radius / HALF_LIGHT), found["axis_ratio"], angle,
    ]  # fmt: skip


def _lone(light: np.ndarray, noise: np.ndarray, fwhm: float) -> Lone:
    """A template as a galaxy alone; it is where it is brighter than its noise."""
    smooth = gaussian_filter(light[1], 1.2)
    level = max(float(noise[1]), 0.003 * float(smooth.max()))
    parts, _ = label(smooth > level)
    middle = len(smooth) // 2
    segment = parts == parts[middle, middle]
    return Lone(light=light, segment=segment, noise=np.maximum(noise, 1e-4 * light[1].max()),
                fwhm=fwhm, filled=0.0, neighbour=0.0, saturated=0.0, border=0.0,
                apart=0.0)  # fmt: skip


def powers(r: np.ndarray) -> np.ndarray:
    """Logarithm of the power of a picture in rings of wave numbers."""
    side = len(r)
    waves = np.fft.rfft2(r)
    k = side * np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    place = np.digitize(k, EDGES)
    return np.array(
        [np.log10((np.abs(waves[place == j]) ** 2).mean()) for j in range(1, len(EDGES))]
    )


def distances(made: np.ndarray, real: np.ndarray) -> np.ndarray:
    """
    Wasserstein distances in units of the real standard deviation, (10,).

    Of `MEASURES`, and of the power, a mean over wave numbers.
    """
    n = len(MEASURES) + len(POWERS)
    each = [
        wasserstein_distance(made[:, k], real[:, k]) / (real[:, k].std() or 1) for k in range(n)
    ]
    return np.array([*each[: len(MEASURES)], np.mean(each[len(MEASURES) :])])


def with_error(
    statistic: object, samples: Sequence[np.ndarray], n: int = 200, seed: int = 0
) -> tuple[float, float]:
    """A statistic of samples, and its scatter where rows are drawn with replacement."""
    rng = np.random.default_rng(seed)
    drawn = [statistic(*(s[rng.integers(len(s), size=len(s))] for s in samples)) for _ in range(n)]
    return float(statistic(*samples)), float(np.std(drawn))
