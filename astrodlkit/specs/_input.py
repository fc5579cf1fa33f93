"""What a network eats: channels, grid, stretch and standardisation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import astropy.units as u
import numpy as np

from .._flags import Flag
from ..exceptions import AstrodlkitWarning
from ._peak import PeakStretch
from ._record import Record
from ._resize import resize
from ._stretch import LuptonStretch, Picture, Stretch, stretch_from_dict
from ._units import nanomaggies

if TYPE_CHECKING:
    from ..cutouts import Cutouts

__all__ = ["InputSpec"]

# Rows that are prepared together, so that they stay in the processor's cache.
_ROWS = 16
_PICTURE_BANDS = ({"r", "g", "b"}, {"red", "green", "blue"})


@dataclass(frozen=True, kw_only=True)
class InputSpec(Record):
    """
    The input contract of a network, the same in training and in use.

    Parameters
    ----------
    bands : tuple of str
        Band of each channel, as the red, the green and the blue one.
    shape : tuple of int
        Pixels of a stamp, (ny, nx).
    mean, std : tuple of float
        Of each channel over the training set, after the stretch.
    stretch : LuptonStretch, PeakStretch or Picture
        From linear values to channels between 0 and 1.
    width : float or None
        Width of a stamp in Petrosian radii that hold 90 % of the flux.
    pixel_scale : float or None
        Arcseconds in a pixel, for a network that sees every source at the
        same scale.
    bright : float
        Mean over the channels that the brightest hundredth of the usable
        pixels of a stamp has in the training set; stamps without a flux unit
        are scaled to it.
    mirror : bool
        Whether a mirrored picture shows the same: False where a label tells
        left from right.

    Examples
    --------
    >>> from astrodlkit.specs import InputSpec, LuptonStretch
    >>> spec = InputSpec(bands=("i", "r", "g"), shape=(96, 96), mean=(0.1,) * 3,
    ...                  std=(0.1,) * 3, stretch=LuptonStretch(stretch=0.5, Q=5.0))
    >>> InputSpec.from_dict(spec.to_dict()) == spec
    True
    """

    bands: tuple[str, str, str]
    shape: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stretch: Stretch
    width: float | None = None
    pixel_scale: float | None = None
    bright: float = 0.5
    mirror: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.stretch, (LuptonStretch, PeakStretch, Picture)):
            raise TypeError(
                f"stretch must be a LuptonStretch, a PeakStretch or a Picture, got {self.stretch!r}"
            )
        for name in ("width", "pixel_scale"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise ValueError(f"{name} must be positive or None, got {value!r}")
        if self.width is not None and self.pixel_scale is not None:
            raise ValueError("width and pixel_scale exclude each other: one must be None")
        if len(self.bands) != 3 or len(self.mean) != 3 or len(self.std) != 3:
            raise ValueError("bands, mean and std must have three entries each")
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise ValueError(f"shape must be two positive numbers of pixels, got {self.shape}")
        if not min(self.std) > 0:
            raise ValueError(f"std must be positive, got {self.std}")
        if not isinstance(self.mirror, bool):
            raise TypeError(f"mirror must be True or False, got {self.mirror!r}")

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """
        The object from its JSON form.

        Parameters
        ----------
        record : dict
            What `to_dict` gave.

        Returns
        -------
        spec : InputSpec
            An equal object.
        """
        if isinstance(record.get("stretch"), Mapping):
            record = {**record, "stretch": stretch_from_dict(record["stretch"])}
        return super().from_dict(record)

    def standardise(self, pictures: np.ndarray) -> np.ndarray:
        """
        The last step: subtract the mean and divide by the deviation.

        Parameters
        ----------
        pictures : `~numpy.ndarray`, shape (n, 3, ny, nx)
            Channels between 0 and 1.

        Returns
        -------
        images : `~numpy.ndarray` of float32, shape (n, 3, ny, nx)
            What the network takes.
        """
        mean = np.array(self.mean, dtype=np.float32)[:, None, None]
        std = np.array(self.std, dtype=np.float32)[:, None, None]
        images = np.subtract(pictures, mean, dtype=np.float32)
        images /= std
        return images

    def prepare(
        self,
        cutouts: Cutouts,
        *,
        bands: Sequence[str] | Mapping[str, str] | str | None = None,
        stretch: Stretch | str = "auto",
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Bring cutouts into the form that the network takes.

        Parameters
        ----------
        cutouts : Cutouts
            n stamps of one band, or of three or more.
        bands : sequence of str, dict or str, optional
            Names of the cutouts' bands that serve as the red, the green and
            the blue channel; or a dict from the model's band to the cutouts';
            or one name, used for all three channels. By default the model's
            own names where the cutouts have them, the order of three bands
            that are called red, green and blue (or R, G, B), and a single
            band for all three channels.
        stretch : LuptonStretch, PeakStretch, Picture or "auto"
            How values become channels between 0 and 1. ``"auto"``: a model's
            `PeakStretch` always; its `LuptonStretch` for cutouts with a flux
            unit (surface brightness, or flux per pixel where the pixel scale
            is known); nothing but a division by 255 for bands called red,
            green and blue without a flux unit; otherwise the model's stretch
            on each stamp scaled to its own brightness, with a warning.

        Returns
        -------
        images : `~numpy.ndarray` of float32, shape (n, 3, ny, nx)
            What the network takes.
        flags : `~numpy.ndarray` of int32, shape (n,)
            The cutouts' flags, with those for masked, non-finite and blank
            stamps added.

        Raises
        ------
        ValueError
            If the bands cannot be told or the unit cannot be converted.
        """
        channels = self._channels(cutouts.bands, bands)
        rule = self._rule(cutouts, channels, stretch)
        grey = len(set(channels)) == 1
        flags = np.array(cutouts.flags, dtype=np.int32)
        n = len(flags)
        factors: np.ndarray | None = None
        if isinstance(rule, LuptonStretch):
            factors = np.broadcast_to(self._to_surface_brightness(cutouts), (n, 1, 1, 1))
        images = np.empty((n, 3, *self.shape), dtype=np.float32)
        for start in range(0, n, _ROWS):
            rows = slice(start, start + _ROWS)
            values, usable = _read(cutouts, rows, channels, flags[rows])
            factor = None if factors is None else factors[rows]
            pictures = self._stretched(values, usable, factor, rule, grey=grey)
            images[rows] = self.standardise(resize(pictures, self.shape))
        return images, flags

    def missing(
        self, cutouts: Cutouts, *, bands: Sequence[str] | Mapping[str, str] | str | None = None
    ) -> np.ndarray:
        """
        How much of the middle of stamps cannot be used.

        Parameters
        ----------
        cutouts, bands
            As of `prepare`.

        Returns
        -------
        share : `~numpy.ndarray` of float32, shape (n,)
            Of the pixels in the middle, half as wide and high as the stamp, that are
            masked or not finite, over the channels.

        Examples
        --------
        >>> import numpy as np
        >>> from astrodlkit import Cutouts, load_model
        >>> stamps = np.ones((1, 3, 64, 64))
        >>> stamps[:, :, :24] = np.nan
        >>> load_model("galaxyzoo2").input.missing(Cutouts(stamps, bands=("i", "r", "g")))
        array([0.25], dtype=float32)
        """
        ny, nx = cutouts.shape[2:]
        middle = np.s_[:, :, ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4]
        channels = self._channels(cutouts.bands, bands)
        unusable = ~np.isfinite(cutouts.data[middle][:, channels])
        if cutouts.mask is not None:
            unusable |= cutouts.mask[middle][:, channels]
        return unusable.mean(axis=(1, 2, 3), dtype=np.float32)

    def _channels(
        self, names: Sequence[str], bands: Sequence[str] | Mapping[str, str] | str | None
    ) -> list[int]:
        """Index of the cutouts' band for the red, the green and the blue channel."""
        wanted: tuple[str, ...]
        if bands is None:
            lower = [name.lower() for name in names]
            picture = next((p for p in _PICTURE_BANDS if len(names) == 3 and p == set(lower)), None)
            if picture is not None and not set(self.bands) <= set(names):
                wanted = ("red", "green", "blue") if "red" in picture else ("r", "g", "b")
                return [lower.index(name) for name in wanted]
            wanted = tuple(names) * 3 if len(names) == 1 else self.bands
        elif isinstance(bands, str):
            wanted = (bands,) * 3
        elif isinstance(bands, Mapping):
            missing = set(self.bands) - set(bands)
            if missing:
                raise ValueError(
                    f"bands must name a band of the data for each of {self.bands}, "
                    f"{sorted(missing)} are missing"
                )
            wanted = tuple(bands[name] for name in self.bands)
        else:
            wanted = tuple(bands) * 3 if len(bands) == 1 else tuple(bands)
        if len(wanted) != 3 or not set(wanted) <= set(names):
            raise ValueError(
                f"bands must name, of the data's bands {tuple(names)}, the one for red, green and "
                f"blue (for this model {self.bands}), or a single one; got {bands!r}; for example "
                f"bands={tuple((list(names) * 3)[:3])}"
            )
        return [list(names).index(name) for name in wanted]

    def _rule(
        self,
        cutouts: Cutouts,
        channels: list[int],
        stretch: Stretch | str,
    ) -> Stretch | None:
        """The stretch to use; None for the model's on stamps scaled to their own brightness."""
        if isinstance(stretch, (LuptonStretch, PeakStretch, Picture)):
            return stretch
        if stretch != "auto":
            raise ValueError(
                "stretch must be 'auto', a LuptonStretch, a PeakStretch or a Picture, "
                f"got {stretch!r}"
            )
        if isinstance(self.stretch, PeakStretch):
            return self.stretch
        linear = nanomaggies(cutouts.unit) is not None
        if not linear and {cutouts.bands[c].lower() for c in channels} in _PICTURE_BANDS:
            return Picture(white=255.0)
        if not isinstance(self.stretch, LuptonStretch):
            raise ValueError("this model takes finished pictures: pass stretch=Picture(white=...)")
        if linear:
            return self.stretch
        warnings.warn(
            "the cutouts have no flux unit: each stamp is scaled to its own brightness; give the "
            "data a unit, or pass stretch=",
            AstrodlkitWarning,
            stacklevel=3,
        )
        return None

    def _stretched(
        self,
        values: np.ndarray,
        usable: np.ndarray | None,
        factor: np.ndarray | None,
        rule: Stretch | None,
        grey: bool,
    ) -> np.ndarray:
        """Channels between 0 and 1."""
        if isinstance(rule, (PeakStretch, Picture)):
            return rule.apply(values)
        # That it is a LuptonStretch, _rule has seen.
        model: Any = self.stretch if rule is None else rule
        # Colours that are not known must not be invented.
        stretch = replace(model, scales=(1.0, 1.0, 1.0)) if grey or rule is None else model
        if factor is None:
            factor = self._to_bright(values, usable, stretch)
        # Not infinite: black stays black.
        factor = np.minimum(factor, np.finfo(values.dtype).max).astype(values.dtype)
        with np.errstate(over="ignore"):
            values *= factor
        return stretch.apply(values)

    def _to_bright(
        self, values: np.ndarray, usable: np.ndarray | None, stretch: LuptonStretch
    ) -> np.ndarray:
        """Factor that brings each stamp to the training set's brightness, shape (n, 1, 1, 1)."""
        intensity = values.mean(axis=1, dtype=np.float64).reshape(len(values), -1)
        n_usable = np.full(len(values), intensity.shape[1])
        if usable is not None:
            usable = usable.all(axis=1).reshape(intensity.shape)
            intensity[~usable] = np.inf
            n_usable = usable.sum(axis=1)
        intensity.sort(axis=1)
        rank = np.maximum((0.99 * n_usable).astype(int) - 1, 0)
        level = np.take_along_axis(intensity, rank[:, None], axis=1)[:, 0]
        level = np.where(np.isfinite(level) & (level > 0), level, 1.0)
        return (stretch.inverse(self.bright) / level)[:, None, None, None]

    @staticmethod
    def _to_surface_brightness(cutouts: Cutouts) -> np.ndarray | float:
        """Factor to nanomaggies per square arcsecond; 1 for data without a flux unit."""
        known = nanomaggies(cutouts.unit)
        if known is None:
            return 1.0
        factor, per_area = known
        if per_area:
            return factor
        if cutouts.pixel_scale is None:
            raise ValueError(
                f"data in {cutouts.unit} per pixel need a pixel scale to become a surface "
                "brightness; give the image a WCS, or pass stretch="
            )
        scale = np.broadcast_to(cutouts.pixel_scale.to_value(u.arcsec / u.pix), len(cutouts))
        return (factor / scale**2)[:, None, None, None]


def _read(
    cutouts: Cutouts, rows: slice, channels: list[int], flags: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """
    A copy of some rows' values, and which are usable (None: all of them).

    Sky is zero: that is what an unusable pixel is replaced by. What is wrong with
    a row is added to ``flags``.
    """
    values = cutouts.data[rows][:, channels]
    mask = None if cutouts.mask is None else cutouts.mask[rows][:, channels]
    flat = values.reshape(len(values), -1)
    # The extremes say all in one pass: a NaN goes through to them.
    with np.errstate(invalid="ignore"):
        low, high = flat.min(axis=1), flat.max(axis=1)
    finite = np.isfinite(low) & np.isfinite(high)
    flags[~finite] |= Flag.NON_FINITE
    usable = None
    if not finite.all() or (mask is not None and mask.any()):
        usable = np.isfinite(values)
        if mask is not None:
            flags[mask.any(axis=(1, 2, 3))] |= Flag.MASKED_PIXELS
            usable &= ~mask
        low = values.min(axis=(1, 2, 3), initial=np.inf, where=usable)
        high = values.max(axis=(1, 2, 3), initial=-np.inf, where=usable)
        values[~usable] = 0
    flags[low > high] |= Flag.ALL_MASKED
    flags[low == high] |= Flag.BLANK
    return values, usable
