"""Phone numbers as E.164 (ITU-T); the carrier may mask their tail (docs/domain.md §2.5)."""

from __future__ import annotations

import re

# E.164, the last four digits at most masked; as a pattern, it means the same in JSON Schema and in
# Python, whose `$` also matches before a final line break.
# The shortest numbers that can be dialed from abroad have 7 digits (those of Niue): a shorter one
# is an extension or a slip, which would be priced by its first digits all the same.
PATTERN = r"^\+(?=[0-9*]{7,15}$)[1-9][0-9]+\*{0,4}$(?!\n)"

_E164 = re.compile(PATTERN, re.ASCII)


def check_e164(number: object) -> str:
    """Return the number if it is E.164 with `+`; raises `ValueError` if it is not."""
    if not isinstance(number, str) or _E164.fullmatch(number) is None:
        # The number is not repeated: the message ends up in logs and queues.
        msg = (
            "must be an E.164 number of 7 to 15 digits such as +14255550100 (a masked tail such "
            "as **** is accepted)"
        )
        raise ValueError(msg)
    return number


def e164_or_withheld(number: object) -> str | None:
    """Return the number if it is E.164, else None: a number that sets no price may be anything."""
    # Carriers write `anonymous`, an empty text, a SIP URI, an extension, or no text at all for a
    # caller who withholds the number; none of it may stop a call or its charge.
    return number if isinstance(number, str) and _E164.fullmatch(number) else None


MASK = "*"  # what carriers write in the place of the last digits of a number
# As many as carriers mask: what is left says the country and the operator, and not whose it is.
MASKED_DIGITS = 4


def masked(number: str | None) -> str | None:
    """Return an E.164 number with its last four digits masked, as far as they are not already."""
    return None if number is None else number[:-MASKED_DIGITS] + MASK * MASKED_DIGITS
