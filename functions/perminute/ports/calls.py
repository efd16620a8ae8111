"""What is stored of calls, under way and recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import (
        Authorized,
    )
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage


MAX_CALLS_READ = 100
"""Calls that `CallsUnderWay.read_calls` reads: as many as DynamoDB reads in one request."""


class CallUnderWay(NamedTuple):
    """An account, and what is known of one of its calls: it is authorized, has ended, or neither.

    Either may be older than the other. Whoever decides by them commits against both.
    """

    account: Account
    call: Reservation | Usage | None


class CallPlace(NamedTuple):
    """The place of a call among those under way: when it was authorized, then its id."""

    since: datetime
    call_id: str


class CallsUnderWay(Protocol):
    """Calls while they are authorized. Raises `Unavailable`."""

    def read(self, organization_id: str, call_id: str) -> CallUnderWay:
        """Read an account and a call in one request."""
        ...

    def keep(self, authorized: Authorized) -> bool:
        """Record a call under way, and leave its account; return False if the call has changed."""
        ...

    def calls_by_start(
        self, organization_id: str, *, limit: int, after: CallPlace | None = None
    ) -> Iterator[CallPlace]:
        """Name calls that were let in and are neither released nor recorded as ended.

        In the order in which they were authorized; at most `limit`, beginning after a place, at
        which there need not be a call any more. Found in an index that may lag behind: what they
        are by now is to be read with `read_calls`.
        """
        ...

    def read_calls(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation | Usage]:
        """Read calls as they are now, at most `MAX_CALLS_READ`; unknown ones are left out."""
        ...


class ListedCall(NamedTuple):
    """What is listed of a call: enough to decide whether it is to be rated again."""

    call_id: str
    organizer_id: str
    dial_out: bool
    answered_at: datetime
    ended_at: datetime

    @classmethod
    def of(cls, call: Call) -> ListedCall:
        """Say of a call what is listed."""
        return cls(call.call_id, *call.listing)


class CallList(NamedTuple):
    """The calls of one transaction that ended on one UTC day; `key` orders lists."""

    key: str
    calls: tuple[ListedCall, ...]

    @property
    def day(self) -> date:
        """The day on which they ended."""
        return self.calls[0].ended_at.date()


class Calls(Protocol):
    """What was recorded of calls. Raises `Unavailable`."""

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        """Go through the calls that ended since an instant, list by list, in the order of the keys.

        No call is missing whose transaction was committed before this is asked. Those that are free
        whatever the licenses are in none. A list may hold calls that ended earlier on its day. A
        call may be listed twice, as its bridge reported it and as its `Call Ended` says: what is
        not `ListedCall.of` its usage's call is out of date.
        """
        ...

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        """Go through those of the lists that hold a dial-out."""
        ...

    def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
        """Read usages as no transaction is just changing them; else raises `Contended`."""
        ...
