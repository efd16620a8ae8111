"""Mask the phone number of a call, and still recognize its event (docs/retention.md).

An event may be delivered again years later, and must still be a duplicate, or a conflict. So before
a number is masked, a digest of all that telephony had reported is recorded. It is keyed: a phone
number has so few digits that a plain digest of it is found by trying all of them.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from perminute.domain.rating.calls import LegType
from perminute.domain.reference.phone_numbers import MASK

if TYPE_CHECKING:
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage

KEY_BYTES = 32
_DIGEST_CHARACTERS = 32  # hexadecimal: 128 bits, and a fifth of what the rest of a record takes
# With the `+`: the country, or its beginning. A country code has three digits at most.
_COUNTRY_CHARACTERS = 4


def digest_of(call: Call, key: bytes) -> str:
    """Return the keyed digest of all that was reported of a call."""
    # Absent values are left out: a field that is added later must not change the digests.
    stated = {name: value for name, value in asdict(call).items() if value is not None}
    content = json.dumps(stated, default=str, sort_keys=True)
    digest = hmac.digest(key, content.encode("utf-8", "surrogatepass"), "sha256")
    return digest.hex()[:_DIGEST_CHARACTERS]


def has_number(usage: Usage) -> bool:
    """Whether more of the attendee's number is recorded than `without_number` leaves."""
    return usage.content_digest is None and usage.call.remote_number != _kept_number(usage)


def without_number(usage: Usage, key: bytes) -> Usage:
    """Mask the attendee's number, and record the digest of the call as it was reported."""
    # The service number stays: it is no person's, and it sets the price of calls in.
    return usage._replace(
        call=replace(usage.call, remote_number=_kept_number(usage)),
        content_digest=digest_of(usage.call, key),
    )


def differing_content(call: Call, recorded: Usage, key: bytes | None = None) -> tuple[str, ...]:
    """Return the names of the fields in which a reported call differs from the recorded one.

    Without the key of the organization, masked digits are not compared.
    """
    if recorded.is_erased or call == recorded.call:
        return ()
    comparable = call
    if recorded.content_digest is not None:
        kept = _kept_number(recorded._replace(call=call))
        comparable = replace(call, remote_number=kept)
    before, after = asdict(recorded.call), asdict(comparable)
    differing = tuple(name for name in before if before[name] != after[name])
    if differing or recorded.content_digest is None or key is None:
        return differing
    return () if digest_of(call, key) == recorded.content_digest else ("remote_number",)


def kept_number(number: str | None, leg_type: LegType, prefix: str | None) -> str | None:
    """Mask an attendee's number as far as it did not set the price of a call.

    The prefix that priced the call is kept, so it is priced alike whenever it is rated again.
    """
    if number is None:
        return None
    kept = 1 + len(prefix) if leg_type is LegType.DIAL_OUT and prefix else _COUNTRY_CHARACTERS
    return number[:kept] + MASK * (len(number) - kept)


def _kept_number(usage: Usage) -> str | None:
    return kept_number(usage.call.remote_number, usage.call.leg_type, usage.price.prefix)
