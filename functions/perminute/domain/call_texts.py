"""What people read of single calls, and of a day's other calls of one organizer for one reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from perminute.domain.legs import LegType
from perminute.domain.licensing import NotEntitled
from perminute.domain.notifications import CallFlagged, CallNotEntitled, CallNotRated
from perminute.domain.rate_card import Unpriced
from perminute.domain.readable import Text, day, minute, money
from perminute.domain.usage import Flag

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.notifications import CallNews
    from perminute.domain.readable import Recipient

_NOT_ENTITLED = {
    NotEntitled.NO_LICENSE: (
        "{user} has neither a pay-per-minute nor a subscription license",
        "Assign {user} one of these licenses if such calls are wanted.",
    ),
    NotEntitled.NO_CREDITS_LICENSE: (
        "{user} has no Communications Credits license",
        "Assign it to {user} if such calls are wanted.",
    ),
    NotEntitled.CREDITS_NOT_SET_UP: (
        "communications credit was not set up for {organization} at that time",
        "Set it up, or buy credit, if such calls are wanted.",
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
    Unpriced.NO_RATE: "has no price for its number",
    Unpriced.BLOCKED_NUMBER: "blocks its number",
    Unpriced.CURRENCY_MISMATCH: "has a price for its number only in {currency}, which is not the "
    "currency of the credit",
}
"""Why a call has no price."""

_NOT_ALLOWED = {
    Flag.DIAL_OUT_NOT_ALLOWED: "meetings of {user} may not call that number",
    Flag.TOLL_FREE_NOT_ALLOWED: "nobody may join meetings of {user} by a toll-free number",
}
"""What a policy does not allow."""


def call_text(to: Recipient, news: CallNews, at: datetime) -> Text:
    """Write the notification of one call, or the digest of the day of `at`."""
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
        f"{_what_happened(to, news, at)} {_subject_of(news)} not charged, because {why}. "
        f"{_cost(news, 'would have')}Until this changes, further calls of this kind are not "
        f"covered either. {remedy}",
    )


def _not_rated(to: Recipient, news: CallNotRated, at: datetime) -> Text:
    why = _NOT_RATED[news.reason].format(currency=news.rate_currency)
    whose = why if news.calls is None else why.replace("its number", "their numbers")
    return Text(
        _subject(news, "could not be priced", "could not be priced"),
        f"{_what_happened(to, news, at)} {_subject_of(news)} given free, because the rate card "
        f"{whose}. If such calls are wanted, publish a rate card that has a rate for them in the "
        "currency of the credit. If they are not wanted, have your bridge ask before each call: "
        "it is then told to refuse them.",
    )


def _reported_by_bridge(to: Recipient, news: CallFlagged, at: datetime) -> Text:
    one = news.calls is None
    return Text(
        _subject(news, "was charged without its Call Ended", "were charged without Call Ended"),
        f"{_what_happened(to, news, at)} {_subject_of(news)} charged by the seconds that the "
        f"bridge had reported, because no Call Ended event arrived in time. {_cost(news, '')}"
        "Check that your telephony sends Call Ended for every call. If it still arrives, the "
        f"{'charge is' if one else 'charges are'} corrected.",
    )


def _not_allowed(to: Recipient, news: CallFlagged, at: datetime) -> Text:
    policy = _NOT_ALLOWED[news.reason].format(user=news.organizer_id)
    return Text(
        _subject(news, "went against a policy", "went against a policy"),
        f"{_what_happened(to, news, at)} By the policies of {to.name}, {policy}. "
        f"{_subject_of(news)} charged like any other call. {_cost(news, '')}Have your bridge ask "
        "before each call, which prevents such calls; or change the policy.",
    )


def _subject(news: CallNews, of_one: str, of_several: str) -> str:
    return f"a call {of_one}" if news.calls is None else f"{news.calls} more calls {of_several}"


def _subject_of(news: CallNews) -> str:
    return "The call was" if news.calls is None else "They were"


def _what_happened(to: Recipient, news: CallNews, at: datetime) -> str:
    """Say which call it was; or of a digest how many, and by which ids the first are found."""
    if news.calls is not None:
        return (
            f"On {day(at)} (UTC) meetings of {news.organizer_id} at {to.in_full} had {news.calls} "
            "more calls for which the same holds as for one that you were notified of. The ids of "
            f"the first are: {', '.join(news.call_ids or ())}."
        )
    when = f" on {minute(news.answered_at)}" if news.answered_at else ""
    return f"{_way_in(news)} of {news.organizer_id} at {to.in_full}{when} (call {news.call_id})."


def _way_in(news: CallNews) -> str:
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


def _cost(news: CallNews, would_have: str) -> str:
    """State what the rate card says of one call or of several; nothing if it says nothing."""
    if news.retail_cost_micros is None:
        return ""
    cost = money(news.retail_cost_micros, news.currency)
    what = "it" if news.calls is None else "they"
    verb = "would have cost" if would_have else "cost"
    return f"By the rate card {what} {verb} {cost}. "
