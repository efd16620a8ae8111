"""Phone numbers as E.164 (ITU-T), their tail possibly masked by the carrier (DOMAIN §8)."""

from __future__ import annotations

import re

PATTERN = r"^\+(?=[0-9*]{2,15}$)[1-9][0-9]+\*{0,4}$"
"""E.164, the last four digits at most masked; written so that JSON Schema means the same."""

_E164 = re.compile(PATTERN, re.ASCII)


def check_e164(number: str) -> str:
    """Return the number if it is E.164 with `+`; its last four digits at most may be `*`.

    The message never repeats the number: it ends up in logs and queues.
    """
    if _E164.fullmatch(number) is None:
        msg = (
            "must be an E.164 number such as +14255550100 (a masked tail such as **** is accepted)"
        )
        raise ValueError(msg)
    return number
