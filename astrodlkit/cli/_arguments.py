"""What the texts of arguments mean."""

import argparse

import astropy.units as u

__all__ = ["column", "hdu", "pattern", "positive", "size"]


def positive(text: str) -> int:
    """Read a whole number, 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return value


def pattern(text: str) -> tuple[str, str]:
    """Read BAND=PATTERN."""
    band, _, names = text.partition("=")
    if not band or not names:
        raise argparse.ArgumentTypeError(f"must be BAND=PATTERN, got {text!r}")
    return band, names


def column(text: str) -> tuple[str, str, str]:
    """Read MEANING=NAME, or MEANING=NAME:UNIT."""
    meaning, _, rest = text.partition("=")
    name, _, unit = rest.partition(":")
    if not meaning or not name:
        raise argparse.ArgumentTypeError(f"must be MEANING=NAME or MEANING=NAME:UNIT, got {text!r}")
    return meaning, name, unit


def hdu(text: str) -> int | str:
    """Read a number or a name."""
    return int(text) if text.isdecimal() else text


def size(text: str) -> float | u.Quantity | str:
    """Read pixels, an angle, or the name of a column."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return u.Quantity(text)
    except (TypeError, ValueError):
        return text
