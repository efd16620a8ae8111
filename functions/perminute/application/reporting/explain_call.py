"""Explain what a call cost: read all that is recorded of it, as it was at one instant."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.errors import Contended, NotFound, Unavailable
from perminute.domain.pools.pools import LONGEST_CALL, Month
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rating import RatingContext
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reporting.explanation import CallHistory, Explanation, Pending, explain
from perminute.domain.reporting.postings import MAX_REVISED_DAYS, ListedUsage
from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.application.reporting.reader import ReportReader
    from perminute.application.retry import Deadline
    from perminute.domain.credit.accounts import Account
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reporting.postings import Posting, RevisedUsage


class ExplainedCall(NamedTuple):
    """An explanation, and the version of the account as of which it is true."""

    version: int
    explanation: Explanation


def explain_call(
    reader: ReportReader, organization_id: str, call_id: str, deadline: Deadline
) -> ExplainedCall:
    """Explain a call that has ended. Raises `NotFound` and `Unavailable`."""
    # Tried again if what was read belongs to different versions of the account.
    explained = partial(_explained, reader, organization_id, call_id, deadline)
    return reader.retry.call(explained, organization_id, deadline)


def _explained(
    reader: ReportReader, organization_id: str, call_id: str, deadline: Deadline
) -> ExplainedCall:
    account = reader.postings.account(organization_id)
    usage = _usage(reader, organization_id, call_id)
    history = _history(reader, usage, deadline)
    _check_version(account, history)
    licensing = reader.licensing.for_account(account, {usage.call.organizer_id})
    card = _card(reader, usage)
    row = usage.price.as_card(usage.call.leg_type)
    explanation = explain(
        usage,
        history,
        RatingContext.of(account, licensing, card or row),
        pending=tuple(_pending(reader, account, usage)),
        has_card=card is not None,
    )
    if explanation.is_faulty:
        _check_unchanged(reader, account, usage)
    return ExplainedCall(account.version, explanation)


def _usage(reader: ReportReader, organization_id: str, call_id: str) -> Usage:
    usages = reader.calls.usages(organization_id, [call_id])
    if not usages:
        # The same for a call of another organization, and for one that is still under way.
        msg = (
            "names no call of this organization that has ended and is recorded; if it was just "
            "reported, ask again in a few seconds"
        )
        raise NotFound("callId", msg)
    return usages[0]


def _history(reader: ReportReader, usage: Usage, deadline: Deadline) -> CallHistory:
    was_changed = Flag.RERATED in usage.flags or bool(usage.adjustments)
    as_recorded = ListedUsage.of(usage)
    if not was_changed:
        listed = _listed(reader, usage, as_recorded)
        # A `Call Ended` that confirms what its bridge reported changes a flag alone.
        if usage.outcome is Outcome.FREE or (listed and listed[1] == as_recorded):
            return CallHistory(listed)
    revisions = sorted(_revisions(reader, usage, deadline), key=_version)
    first = revisions[0][1].before if revisions else as_recorded
    return CallHistory(
        listed=_listed(reader, usage, first),
        revisions=tuple(revisions),
        causes={
            posting.entry_id: entry.cause
            for posting, _ in revisions
            if posting.entry_id
            and (entry := reader.credit.entry(usage.call.organization_id, posting.entry_id))
        },
    )


def _listed(
    reader: ReportReader, usage: Usage, first: ListedUsage
) -> tuple[Posting, ListedUsage] | None:
    """Find the list of the transaction that charged a call; free calls are in none."""
    if first.outcome is Outcome.FREE:
        return None
    # The calls of a transaction ended soon after each other, so the list is among the next ones.
    lists = reader.postings.usage_lists(
        usage.call.organization_id, since=first.ended_at, until=end_of(first.ended_at.date())
    )
    found = (
        (usage_list.posting, listed)
        for usage_list in lists
        for listed in usage_list.usages
        if (listed.call_id, listed.ended_at) == (first.call_id, first.ended_at)
    )
    return next(found, None)


def _version(revision: tuple[Posting, RevisedUsage]) -> int:
    return revision[0].version


def _revisions(
    reader: ReportReader, usage: Usage, deadline: Deadline
) -> Iterator[tuple[Posting, RevisedUsage]]:
    # They are found by when the call had ended before them. A bridge that reported it said that it
    # ended within a call's length of its authorization.
    began_at, ended_at = usage.authorized_at or usage.call.ended_at, usage.call.ended_at
    last_end = max(ended_at, began_at + LONGEST_CALL) if usage.authorized_at else ended_at
    until = end_of(last_end.date()) + timedelta(days=MAX_REVISED_DAYS)
    call_id = usage.call.call_id
    read = reader.postings.revisions(
        usage.call.organization_id, since=min(began_at, ended_at), until=until
    )
    for revision in deadline.each(read):
        for revised in revision.usages:
            if revised.after.call_id == call_id:
                yield revision.posting, revised


def _check_version(account: Account, history: CallHistory) -> None:
    """Raise `Contended` if the call was changed after the account was read."""
    listed = (history.listed[0],) if history.listed else ()
    if any(
        posting.version > account.version
        for posting in chain(listed, (posting for posting, _ in history.revisions))
    ):
        msg = "the call is just being changed"
        raise Contended(msg)


def _check_unchanged(reader: ReportReader, account: Account, usage: Usage) -> None:
    """Raise `Contended` if what differs may have changed while it was read."""
    call = usage.call
    now = reader.postings.account(call.organization_id)
    if (
        now.licensing_version != account.licensing_version
        or now.credits_set_up_at != account.credits_set_up_at
        or _usage(reader, call.organization_id, call.call_id) != usage
    ):
        msg = "the call, or its licenses, are just being changed"
        raise Contended(msg)


def _card(reader: ReportReader, usage: Usage) -> RateCard | None:
    """Read the card that priced a call; None if it is gone: then its row in the record suffices."""
    if usage.content_digest is not None:
        # By the digits that are left, the whole card may find the price uncertain.
        return None
    try:
        return reader.rate_cards.version(usage.price.rate_card_version)
    except Unavailable:
        # Not an error: the explanation says that the card could not be read.
        return None


def _pending(reader: ReportReader, account: Account, usage: Usage) -> Iterator[Pending]:
    call, organization_id = usage.call, usage.call.organization_id
    waiting = reader.reratings.waiting(organization_id)
    if any(rerating.concerns(call.organizer_id, call.rated_at) for rerating in waiting):
        yield Pending.RERATING
    unsettled = account.provisional.months if account.provisional else ()
    if call.leg_type is LegType.DIAL_OUT and Month.of(call.rated_at) in unsettled:
        yield Pending.SETTLING
