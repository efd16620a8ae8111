"""What is sent over the charging API: bodies, queries and answers (docs/charging-api.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import Meta

from perminute.domain.authorization.reservations import Decision, PaidBy
from perminute.domain.credit.credit_settings import FailureHandling
from perminute.domain.limits.spending import LimitName
from perminute.domain.rating.calls import MAX_CALL_SECONDS, LegType, MeetingType
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reference.phone_numbers import PATTERN, check_e164
from perminute.fields import Id, Message, OrganizationId, StatedNumber, about
from perminute.parsing import text_type

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
        "dial-in, the `remoteNumber` of a `dialOut`. Its last four digits at most may be `*`. "
        "Whatever else is no E.164 number counts as withheld, as if it was null."
    ),
]
Sequence = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_SEQUENCE,
        description="Counts the requests of a call, from 0. The next one acts; the last one again "
        "is given the same answer; anything else is a conflict.",
    ),
]
RequestedSeconds = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_CALL_SECONDS,
        description="How much is wanted from now on. By default 300; in an update, as much as the "
        "request before it.",
    ),
]
UsedSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_CALL_SECONDS,
        description="Connected seconds since the report before; in the first report, since the "
        "call was answered. A started second counts. Either this or totalUsedSeconds is required.",
    ),
]
TotalUsedSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_CALL_SECONDS,
        description="Connected seconds since the call was answered, a started one counting; "
        "instead of usedSeconds.",
    ),
]
Seconds = Annotated[int, Meta(ge=0)]
Money = Annotated[
    str,
    Meta(
        pattern=r"^-?[0-9]+(\.[0-9]{1,6})?$",
        description="A decimal amount of `currency`.",
        examples=["0.026"],
    ),
]
Instant = Annotated[str, Meta(description="RFC 3339, UTC.", examples=["2026-11-02T09:00:00Z"])]


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
    """What a call has used; more is to be granted."""

    requested_seconds: RequestedSeconds | None = None


class ReleaseBody(ReportBody, frozen=True, kw_only=True):
    """What a call has used; it has ended, or was never answered."""


class PriceQuery(Message, frozen=True, kw_only=True):
    """A call that might be made; without an organizer only the rate card is asked."""

    leg_type: LegType
    number: Annotated[
        PhoneNumber,
        about("E.164; its last four digits at most may be `*`. In a query, + is written %2B."),
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
            description="New quota from now on, in whole billing blocks of the call; what was "
            "granted before and is not used is no longer.",
        ),
    ]
    valid_until: Annotated[
        Instant | None, about("Without a report, what is granted lapses after twice this time.")
    ]
    report_before: Annotated[Instant | None, about("When the quota is used up at the earliest.")]
    hang_up_after_seconds: Annotated[
        Seconds | None,
        about(
            "When to begin to hang up, counted from when the call was answered, unless "
            "more is granted before: two seconds before the end of what is granted."
        ),
    ]
    remaining_seconds: Annotated[
        Seconds | None,
        about(
            "How long credit, pool and limits would cover the call as they are now, "
            "counted from when it was answered, however much is granted at a time; at most a day."
        ),
    ]
    final_unit: Annotated[
        bool,
        about(
            "Less than was asked for, and not because of maxGrantSeconds: hang up at the end of it."
        ),
    ]
    paid_by: PaidBy | None
    rate_per_minute: Annotated[
        Money | None,
        about(
            "What a minute costs at the start of the call, by the rate card, whoever "
            "pays; later minutes may cost another rate."
        ),
    ]
    connection_fee: Money | None
    currency: str | None
    limit: Annotated[
        LimitName | None,
        about("The limit for which less is granted than was asked for, or nothing."),
    ]
    failure_handling: Annotated[
        FailureHandling, about("What to do with calls of this organization while nobody answers.")
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
            "What the rate card says, whoever pays; null if it has no price, and where "
            "`outcome` is `unrated`."
        ),
    ]
    currency: Annotated[
        str | None,
        about(
            "That of the rate, which may be another than the credit's: then the call "
            "costs credit nothing."
        ),
    ]
    outcome: Annotated[
        Outcome | None, about("What would become of the call; with an organizer only.")
    ]
    reason: str | None
    pool_minutes: int | None
    charge: Annotated[Money | None, about("What credit would pay; with an organizer only.")]
    flags: list[Flag]


class BalanceDocument(Message, frozen=True, kw_only=True):
    """The credit of an organization as it stands."""

    organization_id: str
    at: Instant
    currency: str | None
    balance: Money
    reserved: Annotated[
        Money, about("What calls under way may cost, and what was used and is not charged.")
    ]
    available: Annotated[
        Money,
        about(
            "The balance less what is reserved. Credit that is about to expire is part "
            "of it, but not granted to calls that may outlast it."
        ),
    ]
    calls: Annotated[int, Meta(ge=0, description="Calls under way that have reserved something.")]
    spent_today: Annotated[Money, about("What calls cost that began today, in UTC.")]
    daily_spend_limit: Money | None
    max_concurrent_calls: int | None


Error = Literal["invalid", "conflict", "forbidden", "notFound", "tooLarge", "unavailable"]


class ErrorDocument(Message, frozen=True, kw_only=True):
    """Why a request was not answered; the message names the field and says what to do."""

    error: Error
    message: str


class Invocation(Message, frozen=True, kw_only=True):
    """Which operation a direct invocation of the function is about."""

    operation: Literal[
        "authorize", "update", "release", "price", "balance", "call", "callsUnderWay"
    ]
    organization_id: OrganizationId
    call_id: Id | None = None
