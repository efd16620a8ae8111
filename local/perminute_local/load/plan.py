"""The plan of a load: organizations with credit, and calls that all cost the same."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.rating.calls import PRICED_BY, LegType
from perminute.domain.rating.rate_card import Quote
from perminute.domain.reference.phone_numbers import check_e164
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from perminute.domain.rating.rate_card import RateCard

Event = dict[str, Any]

SECONDS = 60
"""How long each call has lasted."""
USER = "load"
COUNTRY = "US"
"""The organizer's country if the rate has none: without a country no license covers a call."""
SINCE = timedelta(hours=1)
"""How long before the load its licenses and its credit began."""
_FILLED_UP = "2025550123"
_DIGITS = 11


class Load(NamedTuple):
    """What was asked for."""

    rate: int  # calls a second
    minutes: float
    organizations: int
    hot: float  # the share of the calls that the first organization has

    @property
    def calls(self) -> int:
        """How many calls are sent if nothing delays them; at least one."""
        return max(1, round(self.rate * self.seconds))

    @property
    def seconds(self) -> float:
        """How long they are sent."""
        return self.minutes * 60


class Offer(NamedTuple):
    """A number that the rate card in force prices, and what a call to it costs."""

    leg_type: LegType
    number: str
    country: str
    currency: str
    charge_micros: int


def offer_of(card: RateCard, at: datetime) -> Offer:
    """Return the first number of a card that costs something. Raises `WrongCall`."""
    for leg_type in (LegType.TOLL_DIAL_IN, LegType.TOLL_FREE_DIAL_IN, LegType.DIAL_OUT):
        for rate in card.rates:
            if rate.leg_type is leg_type and (offer := _offer(card, leg_type, rate.prefix, at)):
                return offer
    msg = f"rate card {card.version} has no price now by which a load could be charged"
    raise WrongCall(msg)


def _offer(card: RateCard, leg_type: LegType, prefix: str, at: datetime) -> Offer | None:
    digits = prefix.removeprefix("+")
    number = f"+{(digits + _FILLED_UP)[: max(_DIGITS, len(digits))]}"
    try:
        check_e164(number)
    except ValueError:
        return None
    match card.quote(leg_type, number, SECONDS, at):
        case Quote(rate=rate, charge_micros=charge) if charge > 0:
            return Offer(leg_type, number, rate.country or COUNTRY, rate.currency, charge)
    return None


class Workload:
    """The events of one run, whose ids no other run uses."""

    def __init__(self, run: str, load: Load, offer: Offer, at: datetime) -> None:
        self._run = run
        self._load = load
        self._offer = offer
        self._at = at
        self.organizations = [
            f"load-{run}-{number:04}" for number in range(1, load.organizations + 1)
        ]

    @property
    def bought_micros(self) -> int:
        """What each organization buys: enough for all calls, and not a round sum."""
        return self._load.calls * self._offer.charge_micros + self._offer.charge_micros

    def organization_of(self, number: int) -> str:
        """Return whose call this is: the first one has its share, the others take turns."""
        if self._is_hot(number) or len(self.organizations) == 1:
            return self.organizations[0]
        others = self.organizations[1:] if self._load.hot else self.organizations
        return others[number % len(others)]

    def _is_hot(self, number: int) -> bool:
        # Spread evenly: a whole step of the running share.
        return int((number + 1) * self._load.hot) > int(number * self._load.hot)

    def balances(self, calls: int) -> Mapping[str, int]:
        """Return the balance of each organization after the first calls, in micro-units."""
        number_of = Counter(map(self.organization_of, range(calls)))
        return {
            name: self.bought_micros - number_of[name] * self._offer.charge_micros
            for name in self.organizations
        }

    def set_up(self) -> Iterator[Event]:
        """Yield the events that give each organization a licensed user and credit."""
        since = format_instant(self._at - SINCE)
        for name in self.organizations:
            who = {"organizationId": name}
            yield self._event(
                "licensing",
                "Organization Changed",
                **who,
                effectiveAt=since,
                licensingProgram="volume",
                communicationsCreditsLicense="organization",
            )
            user = {"userId": USER, "country": self._offer.country, "effectiveAt": since}
            yield self._event("licensing", "User Changed", **who, **user)
            license_of = {"userId": USER, "license": "payPerMinute", "effectiveAt": since}
            yield self._event("licensing", "License Assigned", **who, **license_of)
            currency = {"currency": self._offer.currency}
            yield self._event("billing", "Credits Configured", **who, **currency)
            bought = {"amount": format_micros(self.bought_micros), "purchasedAt": since}
            purchase = {"purchaseId": f"{name}-credit", **bought, **currency}
            yield self._event("billing", "Credit Purchased", **who, **purchase)

    def call_id(self, number: int) -> str:
        """Return the id of a call."""
        return f"load-{self._run}-{number:07}"

    def call(self, number: int, at: datetime) -> Event:
        """Return the event of a call that has just ended."""
        offer = self._offer
        return {
            "source": "perminute.telephony",
            "detail-type": "Call Ended",
            "time": format_instant(at),
            "detail": {
                "schemaVersion": "1",
                "organizationId": self.organization_of(number),
                "callId": self.call_id(number),
                "organizerId": USER,
                "meetingId": f"load-{self._run}",
                "meetingType": "scheduled",
                "legType": offer.leg_type.value,
                PRICED_BY[offer.leg_type]: offer.number,
                "answeredAt": format_instant(at - timedelta(seconds=SECONDS)),
                "endedAt": format_instant(at),
            },
        }

    def _event(self, source: str, detail_type: str, **detail: object) -> Event:
        at = format_instant(self._at)
        identity = f"{detail['organizationId']}-{detail_type.replace(' ', '-')}"
        said = {"schemaVersion": "1", "changeId": identity, "issuedAt": at}
        return {
            "source": f"perminute.{source}",
            "detail-type": detail_type,
            "time": at,
            "detail": {**said, **detail},
        }
