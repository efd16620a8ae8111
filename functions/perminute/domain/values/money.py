"""Money as integer micro-units (10⁻⁶ of a currency unit), written as decimal strings.

No float ever comes near an amount: text goes to an integer and back.
"""

from __future__ import annotations

import re

MICROS_PER_UNIT = 1_000_000
DECIMALS = 6
# The largest amount taken in: far above any prepaid balance, far below DynamoDB's 38 digits.
MAX_AMOUNT_MICROS = 10**15 * MICROS_PER_UNIT

_AMOUNT = re.compile(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,6}))?", re.ASCII)


def parse_micros(text: str) -> int:
    """Read a decimal string such as `"0.026"` as micro-units; `ValueError` says what is wrong."""
    micros = read_micros(text)
    if abs(micros) > MAX_AMOUNT_MICROS:
        msg = f"must not be larger than {format_micros(MAX_AMOUNT_MICROS)}"
        raise ValueError(msg)
    return micros


def read_micros(text: str) -> int:
    """Read what `format_micros` wrote, however large: a sum has no limit, and an amount has."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        msg = "must be a decimal string with at most 6 decimals, such as 0.026"
        raise ValueError(msg)
    sign, whole, fraction = match.groups()
    micros = int(whole) * MICROS_PER_UNIT + int((fraction or "").ljust(DECIMALS, "0"))
    return -micros if sign else micros


def format_micros(micros: int) -> str:
    """Write micro-units as the shortest decimal string: 26000 becomes `"0.026"`."""
    whole, fraction = divmod(abs(micros), MICROS_PER_UNIT)
    sign = "-" if micros < 0 else ""
    decimals = f".{fraction:06d}".rstrip("0") if fraction else ""
    return f"{sign}{whole}{decimals}"


def money_text(micros: int | None) -> str | None:
    """Write an amount; None if there is none."""
    return None if micros is None else format_micros(micros)


def round_half_up(numerator: int, denominator: int) -> int:
    """Divide a non-negative amount exactly, a half going up: the one rounding of a charge."""
    return (2 * numerator + denominator) // (2 * denominator)


def format_rounded(micros: int, decimals: int) -> str:
    """Write an amount for people with 0 to 6 decimals; a half is rounded away from zero."""
    step = 10 ** (DECIMALS - decimals)
    steps = round_half_up(abs(micros), step)
    whole, fraction = divmod(steps, 10**decimals)
    sign = "-" if micros < 0 and steps else ""
    return f"{sign}{whole:,}" + (f".{fraction:0{decimals}d}" if decimals else "")
