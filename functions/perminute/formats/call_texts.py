"""What people read of single calls, and of a day's other calls of one organizer for one reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.notifications.notifications import CallFlagged, CallNotEntitled, CallNotRated
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage import Flag
from perminute.formats.readable import Text, day, minute, money

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.notifications.notifications import CallNotification
    from perminute.formats.readable import Recipient

_NOT_ENTITLED = {
    NotEntitled.NO_LICENSE: (
        "{user} has neither a pay-per-minute nor a subscription license",
        "Assign {user} one of these licenses if such calls are wanted.",
    ),
    NotEntitled.NO_CREDITS_LICENSE: (
        "{user} has no Communications Credits license",
        "Assign this license to {user} if such calls are wanted.",
    ),
    NotEntitled.CREDITS_NOT_SET_UP: (
        "communications credit was not set up for {organization} at that time",
        "Set up communications credit, or buy credit, if such calls are wanted.",
    ),
    NotEntitled.NOT_VOLUME_LICENSING: (
        "pay-per-minute needs volume licensing, and {organization} does not have it",
        "Assign {user} a subscription license if such calls are wanted.",
    ),
    NotEntitled.COUNTRY_NOT_AVAILABLE: (
        "pay-per-minute is not available at the usage location of {user}",
        "Check the user's usage location in Microsoft 365.",
    ),
}
"""Why a call was not covered, and what to do about it."""

_NOT_RATED = {
    Unpriced.NO_RATE: "has no price for {number}",
    Unpriced.BLOCKED_NUMBER: "blocks {number}",
    Unpriced.CURRENCY_MISMATCH: "has a price for {number} only in {currency}, which is not "
    "the currency of the credit",
}
"""Why a call has no price."""

_NOT_ALLOWED = {
    Flag.DIAL_OUT_NOT_ALLOWED: "meetings of {user} may not call {number}",
    Flag.TOLL_FREE_NOT_ALLOWED: "nobody may join meetings of {user} by a toll-free number",
}
"""What a policy does not allow."""

NOTIFIED_FLAGS = frozenset({*_NOT_ALLOWED, Flag.REPORTED_BY_BRIDGE})
"""The flags that a call's notification may have as its reason; others are only recorded."""


def call_text(to: Recipient, news: CallNotification, at: datetime) -> Text:
    """Write the notification of one call, or a digest: of its day, or else of that of `at`."""
    match news:
        case CallNotEntitled():
            return _not_entitled(to, news, at)
        case CallNotRated():
            return _not_rated(to, news, at)
        case CallFlagged(reason=Flag.REPORTED_BY_BRIDGE):
            return _reported_by_bridge(to, news, at)
        case CallFlagged():
            return _not_allowed(to, news, at)
        case never:
            assert_never(never)


def _not_entitled(to: Recipient, news: CallNotEntitled, at: datetime) -> Text:
    why, remedy = (
        part.format(user=news.organizer_id, organization=to.name)
        for part in _NOT_ENTITLED[news.reason]
    )
    return Text(
        _subject(news, "was not covered by a license", "were not covered by a license"),
        f"{_what_happened(to, news, at)} {_it_was(news)} not charged, because {why}. {_price(news)}"
        f"Until this changes, further calls of this kind are not covered either. {remedy}"
        f"{_which(news)}",
    )


def _not_rated(to: Recipient, news: CallNotRated, at: datetime) -> Text:
    why = _NOT_RATED[news.reason].format(
        number="its number" if news.calls is None else "their numbers",
        currency=news.rate_currency or "another currency",
    )
    return Text(
        _subject(news, "could not be priced", "could not be priced"),
        f"{_what_happened(to, news, at)} {_it_was(news)} given free, because the rate card {why}. "
        "If such calls are wanted, publish a rate card that has a rate for them in the currency of "
        "the credit. If they are not wanted, have your bridge ask perminute before each call: such "
        f"calls are then refused.{_which(news)}",
    )


def _reported_by_bridge(to: Recipient, news: CallFlagged, at: datetime) -> Text:
    corrected = "charge is" if news.calls is None else "charges are"
    return Text(
        _subject(news, "was charged without its Call Ended", "were charged without Call Ended"),
        f"{_what_happened(to, news, at)} {_it_was(news)} charged by the seconds that the bridge "
        f"had reported, because no Call Ended event arrived in time. {_price(news)}Check that your "
        f"telephony sends Call Ended for every call. If it still arrives, the {corrected} "
        f"corrected.{_which(news)}",
    )


def _not_allowed(to: Recipient, news: CallFlagged, at: datetime) -> Text:
    policy = _NOT_ALLOWED[news.reason].format(
        user=news.organizer_id,
        number="that number" if news.calls is None else "those numbers",
    )
    return Text(
        _subject(news, "went against a policy", "went against a policy"),
        f"{_what_happened(to, news, at)} By the policies of {to.name}, {policy}. {_it_was(news)} "
        f"charged like any other call. {_price(news)}To prevent such calls, have your bridge ask "
        f"perminute before each call. If they are wanted, change the policy.{_which(news)}",
    )


def _subject(news: CallNotification, of_one: str, of_several: str) -> str:
    return f"a call {of_one}" if news.calls is None else f"{news.calls} more calls {of_several}"


def _it_was(news: CallNotification) -> str:
    return "The call was" if news.calls is None else "They were"


def _what_happened(to: Recipient, news: CallNotification, at: datetime) -> str:
    """Say which call it was, or of a digest how many of which day."""
    if news.calls is not None:
        return (
            f"On {news.day or day(at)} (UTC) there were {news.calls} more calls of this kind in "
            f"meetings of {news.organizer_id} at {to.in_full}, after the one that you were "
            "notified of."
        )
    when = f" on {minute(news.answered_at)}" if news.answered_at else ""
    return f"{_way_in(news)} of {news.organizer_id} at {to.in_full}{when} (call id {news.call_id})."


def _way_in(news: CallNotification) -> str:
    number = news.number or "a number that is not known"
    match news.leg_type:
        case LegType.DIAL_OUT:
            return f"A call to {number} was made from a meeting"
        case LegType.TOLL_DIAL_IN:
            return f"Somebody called the toll number {number} to join a meeting"
        case LegType.TOLL_FREE_DIAL_IN:
            return f"Somebody called the toll-free number {number} to join a meeting"
        case LegType.APP | None:
            return "Somebody joined a meeting"
        case never:
            assert_never(never)


def _price(news: CallNotification) -> str:
    """State what the rate card says, whoever pays; nothing if it has no price."""
    if news.retail_cost_micros is None:
        return ""
    price = money(news.retail_cost_micros, news.currency)
    if news.calls is None:
        return f"Its price by the rate card is {price}. "
    return f"Their price by the rate card is {price} in all. "


def _which(news: CallNotification) -> str:
    """Name the first calls of a digest; the others are found by organizer and day."""
    return f" The first of these calls: {', '.join(news.call_ids)}." if news.call_ids else ""
