"""What is sent over the charging API: bodies, queries and answers (docs/charging-api.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import Meta

from perminute.api.values import Instant, Money, Seconds
from perminute.domain.authorization.reservations import CallState, Decision, Operation, PaidBy
from perminute.domain.credit.credit_settings import FailureHandling
from perminute.domain.limits.spending import LimitName
from perminute.domain.rating.calls import MAX_CALL_SECONDS, LegType, MeetingType
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reference.phone_numbers import PATTERN, check_e164
from perminute.fields import Id, Message, OrganizationId, StatedNumber, about
from perminute.parsing import text_type
from perminute.ports.stores import MAX_CALLS_READ

# Reports of one call: more than a day has seconds to send them in is a slip.
MAX_SEQUENCE = 1_000_000


def _read_queried_number(text: str) -> str:
    try:
        return check_e164(text)
    except ValueError as error:
        msg = f"{error}; in a query, write + as %2B"
        raise ValueError(msg) from None


if TYPE_CHECKING:
    PhoneNumber: TypeAlias = str
else:
    PhoneNumber = text_type(_read_queried_number, "phone number", pattern=PATTERN)

RequestedNumber = Annotated[
    StatedNumber,
    about(
        "Must be E.164 with `+`, of 7 to 15 digits, if it sets the price: the `serviceNumber` of a "
        "dial-in, the `remoteNumber` of a `dialOut`. Up to four digits at its end may be `*`. "
        "Any other value that is not an E.164 number counts as withheld, like null."
    ),
]
Sequence = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_SEQUENCE,
        description="Counts the requests about a call, from 0. The next number is processed; the "
        "last one again gets the same answer; any other is a conflict.",
    ),
]
RequestedSeconds = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_CALL_SECONDS,
        description="How many seconds the call needs from now on. By default 300; in an update, as "
        "many as the request before it.",
    ),
]
UsedSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_CALL_SECONDS,
        description="Connected seconds since the last report; in the first report, since the call "
        "was answered. Round up. Either this or totalUsedSeconds is required.",
    ),
]
TotalUsedSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_CALL_SECONDS,
        description="Connected seconds since the call was answered, rounded up; instead of "
        "usedSeconds.",
    ),
]


class CallFacts(Message, frozen=True, kw_only=True):
    """What identifies a call, if it is not in the path."""

    organization_id: OrganizationId | None = None
    call_id: Id | None = None


class AuthorizeBody(CallFacts, frozen=True, kw_only=True):
    """A call as `Call Ended` will describe it, without the times."""

    sequence: Sequence
    organizer_id: Id
    meeting_id: Id
    meeting_type: MeetingType
    leg_type: LegType
    service_number: RequestedNumber = None
    remote_number: RequestedNumber = None
    requested_seconds: RequestedSeconds | None = None


class ReportBody(CallFacts, frozen=True, kw_only=True):
    """What a call has used, by one of two figures."""

    sequence: Sequence
    used_seconds: UsedSeconds | None = None
    total_used_seconds: TotalUsedSeconds | None = None


class UpdateBody(ReportBody, frozen=True, kw_only=True):
    """What a call has used, and how much more it needs."""

    requested_seconds: RequestedSeconds | None = None


class ReleaseBody(ReportBody, frozen=True, kw_only=True):
    """What a call has used; it has ended, or was never answered."""


class PriceQuery(Message, frozen=True, kw_only=True):
    """A call that might be made; without an organizer, the answer has only its price."""

    leg_type: LegType
    number: Annotated[
        PhoneNumber,
        about("E.164; up to four digits at its end may be `*`. In a query, write + as %2B."),
    ]
    seconds: Annotated[int, Meta(ge=0, le=MAX_CALL_SECONDS)] = 60
    organizer_id: Id | None = None


class AnswerDocument(Message, frozen=True, kw_only=True):
    """The answer to a request about a call."""

    sequence: int
    decision: Decision
    reason: Annotated[
        str | None, about("Why it is denied: one of the reasons of docs/charging-api.md.")
    ]
    granted_seconds: Annotated[
        int,
        Meta(
            ge=0,
            description="Seconds granted from now on, to the end of a billing block; they "
            "replace what is left of the grant before.",
        ),
    ]
    valid_until: Annotated[
        Instant | None,
        about(
            "Until when the grant can be used. Without a report it lapses after twice this time."
        ),
    ]
    report_before: Annotated[Instant | None, about("When the grant is used up at the earliest.")]
    hang_up_after_seconds: Annotated[
        Seconds | None,
        about(
            "When to begin to hang up, counted from when the call was answered, unless "
            "more is granted before: two seconds before the end of the grant."
        ),
    ]
    remaining_seconds: Annotated[
        Seconds | None,
        about(
            "How long credit, pool and limits as they are now would cover the call, counted "
            "from when it was answered, regardless of maxGrantSeconds; at most a day."
        ),
    ]
    final_unit: Annotated[
        bool,
        about("Less was granted than requested because no more is covered: hang up at its end."),
    ]
    paid_by: PaidBy | None
    rate_per_minute: Annotated[
        Money | None,
        about(
            "What a minute costs at the start of the call by the rate card, paid or not; "
            "later minutes may have another rate."
        ),
    ]
    connection_fee: Money | None
    currency: str | None
    limit: Annotated[
        LimitName | None,
        about("The limit that reduced or denied the grant."),
    ]
    failure_handling: Annotated[
        FailureHandling, about("What to do with calls of this organization without an answer.")
    ]


class PriceDocument(Message, frozen=True, kw_only=True):
    """What a call would cost."""

    leg_type: LegType
    seconds: int
    at: Instant
    billed_seconds: int
    prefix: str | None
    country: str | None
    rate_per_minute: Money | None
    connection_fee: Money | None
    retail_cost: Annotated[
        Money | None,
        about(
            "The price by the rate card, paid or not; null if it has none, and if "
            "`outcome` is `unrated`."
        ),
    ]
    currency: Annotated[
        str | None,
        about("That of the rate. If it differs from the credit's, credit does not pay the call."),
    ]
    outcome: Annotated[Outcome | None, about("The outcome of such a call; with an organizer only.")]
    reason: str | None
    pool_minutes: int | None
    charge: Annotated[Money | None, about("What credit would pay; with an organizer only.")]
    flags: list[Flag]


class BalanceDocument(Message, frozen=True, kw_only=True):
    """The credit of an organization as it is now."""

    organization_id: str
    at: Instant
    currency: str | None
    balance: Money
    reserved: Annotated[
        Money,
        about("What calls under way may cost, and what calls have used until they are charged."),
    ]
    available: Annotated[
        Money,
        about(
            "The balance less what is reserved. It includes credit that is about to expire, "
            "which is not granted to calls that may outlast it."
        ),
    ]
    calls: Annotated[int, Meta(ge=0, description="Calls under way with a reservation.")]
    spent_today: Annotated[Money, about("What calls that began on this UTC day cost.")]
    daily_spend_limit: Money | None
    max_concurrent_calls: int | None


class Invocation(Message, frozen=True, kw_only=True):
    """Which operation a direct invocation of the function is about."""

    operation: Literal[
        "authorize", "update", "release", "price", "balance", "call", "callsUnderWay"
    ]
    organization_id: OrganizationId
    call_id: Id | None = None


MAX_CURSOR_LENGTH = 2_048
"""A cursor names a call, whose id may have 250 characters of four bytes: some 1,400."""

CALLS_ON_A_PAGE = 50
"""If a request does not say how many are wanted (our decision)."""


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
