"""What is said over the charging API of calls that were asked for: for bridges that restart."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from perminute.api.messages import Instant, Seconds
from perminute.domain.authorization.reservations import CallState, Operation
from perminute.domain.limits.spending import LimitName
from perminute.domain.rating.calls import LegType
from perminute.fields import Message, about
from perminute.ports.stores import MAX_CALLS_READ

MAX_CURSOR_LENGTH = 2_048
"""A cursor names a call, whose id may have 250 characters of four bytes: some 1,400."""

CALLS_ON_A_PAGE = 50
"""Of whoever does not say how many are wanted (ours)."""


class CallsQuery(Message, frozen=True, kw_only=True):
    """Which page of the calls under way to return."""

    limit: Annotated[
        int, Meta(ge=1, le=MAX_CALLS_READ, description="How many calls a page has at most.")
    ] = CALLS_ON_A_PAGE
    cursor: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=MAX_CURSOR_LENGTH,
                description="`next` of the page before, unchanged; absent for the first page.",
            ),
        ]
        | None
    ) = None


class CallDocument(Message, frozen=True, kw_only=True):
    """The state of a call, with what a bridge needs to continue or to release it."""

    call_id: str
    state: Annotated[
        CallState,
        about(
            "`underWay`: its last grant has not lapsed. `denied`: its last request was "
            "denied; it was never allowed, or has to be released. `lapsed`: its last grant has "
            "lapsed, so only what it has used is reserved. `released`. `ended`: its `Call "
            "Ended` is recorded, or it was charged by its bridge's reports."
        ),
    ]
    sequence: Annotated[
        int | None, about("The number of the last request: continue with the next. Null: ended.")
    ]
    operation: Annotated[Operation | None, about("The last request. Null: ended.")]
    requested_seconds: Annotated[
        int | None,
        about(
            "Seconds that the last request needed, stated or by default. Null: a release, or ended."
        ),
    ]
    used_seconds: Annotated[
        int | None,
        about(
            "`usedSeconds` of the last report. With `sequence`, `operation` and "
            "`requestedSeconds` it is the content of that request. Null: no report, or ended."
        ),
    ]
    total_used_seconds: Annotated[
        int,
        Meta(ge=0, description="Seconds reported in all; of a call that ended, its duration."),
    ]
    granted_seconds: Annotated[
        int, Meta(ge=0, description="What the last answer granted; 0 once the call has ended.")
    ]
    valid_until: Instant | None
    report_before: Instant | None
    hang_up_after_seconds: Annotated[
        Seconds | None,
        about(
            "When to begin to hang up, counted from when the call was answered, unless "
            "more is granted before."
        ),
    ]
    final_unit: Annotated[bool, about("As the last answer said; true once the call has ended.")]
    reason: Annotated[str | None, about("Why the last request was denied, if it was.")]
    limit: LimitName | None
    authorized_at: Annotated[
        Instant | None,
        about(
            "When it was last authorized. Null: it ended without having been authorized, or "
            "without a reservation."
        ),
    ]
    organizer_id: str
    leg_type: LegType


class CallsDocument(Message, frozen=True, kw_only=True):
    """A page of calls under way, in the order in which they were authorized."""

    calls: Annotated[
        list[CallDocument],
        about(
            "Calls that were allowed and are neither released nor ended: `underWay`, "
            "`denied` or `lapsed`. Each is shown as it is now, but the index in which they are "
            "found lags by a moment: a call that has just been authorized may be missing. A page "
            "may have fewer calls than `limit`, even none, without being the last."
        ),
    ]
    next: Annotated[str | None, about("The `cursor` of the next page. Null: this is the last one.")]
