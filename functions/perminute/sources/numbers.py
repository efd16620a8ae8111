"""Phone numbers as records write them; events and the API, which are ours, stay strict."""

from __future__ import annotations

import re

from perminute.sources.outcomes import SkipReason, skip

_BETWEEN_DIGITS = re.compile(r"[\s()\u2010-\u2015-]+")
_DIGITS = re.compile(r"[1-9][0-9]*\*{0,4}", re.ASCII)
_NOT_PHONE = re.compile(r"(?:sips?|client|whatsapp):", re.IGNORECASE)


def clean_number(
    written: str | None, *, digits_are_e164: bool = False, zeros_are_plus: bool = False
) -> str | None:
    """Return a number without spaces, hyphens and parentheses; it may still be no E.164 number.

    `digits_are_e164`: the source documents E.164, and writes it without `+`. `zeros_are_plus`: it
    writes `00` in its place. Raises `Rejected`, `notPhone`, for an address of another kind.
    """
    if written is None or (written[:1] == "+" and written[1:].isdigit()):
        return written
    if _NOT_PHONE.match(written):
        raise skip(SkipReason.NOT_PHONE)
    number = _BETWEEN_DIGITS.sub("", written)
    if zeros_are_plus and number.startswith("00"):
        number = f"+{number[2:]}"
    if digits_are_e164 and _DIGITS.fullmatch(number):
        number = f"+{number}"
    return number or None
