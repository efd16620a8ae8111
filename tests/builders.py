"""Sound values to start from: a test changes only what it is about."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from perminute.application.book_credit import CreditEvent
from perminute.application.charge_calls import EndedCall
from perminute.application.retry import RetryPolicy
from perminute.domain.credit import charging
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.booking import Purchase
from perminute.domain.credit.lots import Lot, total_micros, twelve_months_after
from perminute.domain.credit.transaction import EventIdentity, IdentityKind, ProcessedEvent
from perminute.domain.licensing.attributes import (
    COUNTRY,
    LICENSING_PROGRAM,
    FactValue,
    license_attribute,
)
from perminute.domain.licensing.licensing import Licensing, LicensingChange
from perminute.domain.licensing.timelines import Fact, Timeline
from perminute.domain.limits.spending import SpendCounters
from perminute.domain.pools.pools import MinutePools
from perminute.domain.rating.calls import Call, LegType, MeetingType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Step
from perminute.domain.rating.rating import Rating, RatingContext, rate_call
from perminute.domain.reference.licenses import product_named
from perminute.formats.rate_card_csv import read_rate_card
from perminute.ports.messaging import Announcement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.domain.credit.transaction import (
        AlreadyExists,
        FactsFolded,
        TimelineFull,
        Transaction,
    )
    from perminute.domain.notifications.notifications import Notification
    from perminute.domain.rating.rate_card import RateCard

ORGANIZATION = "contoso"
ORGANIZER = "adele"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERED = datetime(2026, 11, 2, 9, tzinfo=UTC)
ENDED = datetime(2026, 11, 2, 9, 10, tzinfo=UTC)
MICROS = 1_000_000

WITHOUT_WAITING = RetryPolicy(sleep=lambda _: None)
"""Retries like the real one, without waiting."""


def phone_call(**changed: Any) -> Call:
    """A dial-out of ten minutes to a German landline in a scheduled meeting."""
    parts: dict[str, Any] = {
        "organization_id": ORGANIZATION,
        "call_id": "call-1",
        "organizer_id": ORGANIZER,
        "meeting_id": "meeting-1",
        "meeting_type": MeetingType.SCHEDULED,
        "leg_type": LegType.DIAL_OUT,
        "remote_number": "+493023125042",
        "answered_at": ANSWERED,
        "ended_at": ENDED,
    }
    return Call(**{**parts, **changed})


def ended(**changed: Any) -> EndedCall:
    """The same call as telephony reports it."""
    one = phone_call(**changed)
    return EndedCall(one, one.ended_at)


def card(*rows: str, header: str = "") -> RateCard:
    """A rate card of these rows, or a small one if none are given."""
    header = header or "leg_type,prefix,country,currency,rate_per_minute,connection_fee,blocked"
    rows = rows or (
        "dialOut,49,DE,USD,0.015,,",
        "dialOut,44,GB,USD,0.015,,",
        "dialOut,449,GB,USD,,,true",
        "tollDialIn,1,US,USD,0.0085,,",
        "tollFreeDialIn,1800,US,USD,0.022,,",
        "dialOut,33,FR,EUR,0.016,,",
    )
    return read_rate_card("\n".join([header, *rows]).encode(), version="card-1")


def fact(attribute: str, value: FactValue, since: datetime = LONG_AGO, event_id: str = "e") -> Fact:
    """A fact that has held for long, unless said otherwise."""
    return Fact(
        attribute=attribute, value=value, effective_at=since, issued_at=since, event_id=event_id
    )


def holds(*licenses: str, country: str | None = "DE", since: datetime = LONG_AGO) -> Timeline:
    """A user with these licenses in this country."""
    facts = [
        fact(license_attribute(product_named(name)), value=True, since=since) for name in licenses
    ]
    if country is not None:
        facts.append(fact(COUNTRY, country, since))
    return Timeline(facts)


def volume() -> Timeline:
    """An organization that buys through volume licensing."""
    return Timeline([fact(LICENSING_PROGRAM, "volume")])


def entitled_changes(
    organization_id: str = ORGANIZATION, user_id: str = ORGANIZER
) -> list[tuple[LicensingChange, ProcessedEvent]]:
    """All that a user needs to charge calls to credits by the minute."""
    user = holds("payPerMinute", "communicationsCredits")
    return [
        (
            LicensingChange(organization_id, None, tuple(volume().facts)),
            processed_event(f"{organization_id}-program", organization_id=organization_id),
        ),
        (
            LicensingChange(organization_id, user_id, tuple(user.facts)),
            processed_event(f"{organization_id}-{user_id}", organization_id=organization_id),
        ),
    ]


def processed_event(
    identity: str,
    *,
    kind: IdentityKind = IdentityKind.EVENT,
    content: Mapping[str, str] | None = None,
    organization_id: str = ORGANIZATION,
) -> ProcessedEvent:
    """A processed event for an event of this identity."""
    return ProcessedEvent(
        EventIdentity(kind, organization_id, identity), json.dumps(content or {"a": "b"})
    )


def purchase(
    identity: str = "po-1",
    amount: int = 50,
    currency: str = "USD",
    purchased_at: datetime = LONG_AGO,
    recharge_id: str | None = None,
    **changed: Any,
) -> CreditEvent:
    """A purchase of so many whole units, reported when it was made."""
    bought = Purchase(
        purchase_id=identity,
        amount_micros=amount * MICROS,
        currency=currency,
        purchased_at=purchased_at,
        expires_at=twelve_months_after(purchased_at),
        recharge_id=recharge_id,
    )
    event = CreditEvent(
        organization_id=ORGANIZATION,
        change=bought,
        processed_event=processed_event(
            identity, kind=IdentityKind.PURCHASE, content={"amount": f"{amount}", "id": identity}
        ),
        issued_at=purchased_at,
    )
    return replace(event, **changed)


def lot(identity: str, micros: int, **changed: Any) -> Lot:
    """A lot bought long ago, that has so much left."""
    parts: dict[str, Any] = {
        "lot_id": identity,
        "purchase_id": f"po-{identity}",
        "purchased_at": LONG_AGO,
        "expires_at": twelve_months_after(LONG_AGO),
        "remaining_micros": micros,
    }
    return Lot(**{**parts, **changed})


def holding(*lots: Lot, debt_micros: int = 0, **changed: Any) -> Account:
    """An account in dollars with these lots, in the order in which they pay."""
    account = Account(
        organization_id=ORGANIZATION,
        version=7,
        entries=9,
        currency="USD",
        credits_set_up_at=LONG_AGO,
        balance_micros=total_micros(lots) - debt_micros,
        debt_micros=debt_micros,
        lots=lots,
    )
    return account._replace(**changed)


def rating(call_id: str, charge_micros: int, **changed: Any) -> Rating:
    """A call of an entitled organizer that costs so much, if the card has a price for it."""
    licensing = Licensing(volume(), {ORGANIZER: holds("payPerMinute", "communicationsCredits")})
    rated = rate_call(
        phone_call(call_id=call_id, **changed), RatingContext(licensing, card(), "USD", LONG_AGO)
    )
    if rated.rate is None:
        return rated
    free = (Step(0, 0, SECONDS_PER_MINUTE),)
    rate = replace(rated.rate, connection_fee_micros=charge_micros, steps=free)
    return rated._replace(rate=rate)


def announced(notification: Notification, **known: Any) -> Announcement:
    """A notification as it is to be published, written when it was decided."""
    return Announcement(notification=notification, **{"written_at": notification.at, **known})


def charge(
    account: Account, ratings: Sequence[Rating], *, at: datetime, heard_at: datetime | None = None
) -> Transaction:
    """Charge calls that draw on no pool."""
    return charging.charge(
        account,
        ratings,
        pools=MinutePools({}, Licensing()),
        spend_counters=SpendCounters(account.days, {}),
        at=at,
        heard_at=heard_at,
    )


@contextmanager
def refuses(expected: AlreadyExists | FactsFolded | TimelineFull) -> Iterator[None]:
    """Expect that a store writes nothing, and raises this error with all that it names."""
    with pytest.raises(type(expected)) as refused:
        yield
    assert vars(refused.value) == vars(expected)
