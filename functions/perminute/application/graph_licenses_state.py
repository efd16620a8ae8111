"""What is remembered of the users of a tenant of Microsoft Graph between two runs.

A round of a delta query is one answer in pages: all users, or those who have changed since the
round before. What it says is collected in `changed` until the last page was read; only then is it
sent. Until an event was sent for certain, its user stays in `changed` with the instant at which
Graph was asked: so it is sent again as the same event.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, encode

from perminute.domain.errors import Unavailable
from perminute.domain.licensing.graph_users import (
    NOT_A_USER,
    DatedChange,
    GraphUser,
    KnownUser,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MIN_REMOVALS = 10
"""An answer that takes the licenses of at most so many users is always believed (our decision)."""

MAX_REMOVED_SHARE = 2
"""Of more users, only if it leaves at least one half of them theirs (our decision)."""


class SeenUser(NamedTuple):
    """What is known of a user by the round under way, and when the page was asked for."""

    user: KnownUser
    at: datetime


class Removals(NamedTuple):
    """How many users would be left without the license that they have, of how many who have one."""

    users: int
    holders: int

    @property
    def are_too_many(self) -> bool:
        """Whether rather the answer is wrong than so many have lost their licenses."""
        return self.users > MIN_REMOVALS and MAX_REMOVED_SHARE * self.users > self.holders


class GraphLicenses(Struct, rename="camel", omit_defaults=True):
    """The users of a tenant: what events have stated of them, and what is to be sent."""

    organization_id: str
    # What was sent of each user; those of whom there is nothing to say are left out.
    users: dict[str, KnownUser] = {}
    # Where the next request goes; None: to the beginning, for all users.
    link: str | None = None
    # Where the round under way began.
    round_link: str | None = None
    # Users of whom the round says something else, and when it was asked.
    changed: dict[str, SeenUser] = {}
    # Of a round of all users those who were not on its pages yet; None: it is one of changes.
    unseen: set[str] | None = None
    # Whether the round was read to its end: then what has changed is to be sent.
    is_read: bool = False
    # The latest instant of a request: each one is later than those before it.
    asked_at: datetime | None = None
    version: Literal[1] = 1

    def begin_round(self, link: str | None) -> None:
        """Begin to read at a link that Graph gave, or all users."""
        self.link = self.round_link = link
        self.changed = {}
        self.unseen = set(self.users) if link is None else None
        self.is_read = False

    def later_than_before(self, now: datetime) -> datetime:
        """Return the instant of a request: now, or if a clock was put back, a moment later."""
        # Of two statements the later one counts.
        if self.asked_at is not None:
            now = max(now, self.asked_at + timedelta(microseconds=1))
        self.asked_at = now
        return now

    def take(self, said: GraphUser, at: datetime) -> KnownUser:
        """Store what a page says of a user, and return what was known of the user before."""
        stated = self.users.get(said.id, NOT_A_USER)
        if said.id in self.changed:
            before = self.changed[said.id].user
        elif self.unseen is not None and said.id in self.unseen:
            # All is said of everybody: what is left out is not there. Only a country stays.
            before = KnownUser(country=stated.country)
        else:
            before = stated
        after = before.updated(said)
        if self.unseen is not None:
            self.unseen.discard(said.id)
        if after == stated:
            self.changed.pop(said.id, None)
        else:
            self.changed[said.id] = SeenUser(after, at)
        return before

    def end_round(self, delta_link: str, at: datetime) -> Removals:
        """End the round, and return how many users it takes licenses from."""
        # Whoever is on no page of all users is gone.
        for user_id in self.unseen or ():
            self.changed[user_id] = SeenUser(NOT_A_USER, at)
        self.link = self.round_link = delta_link
        self.unseen = None
        self.is_read = True
        return self._removals()

    def changes_of(self, user_ids: Iterable[str]) -> list[DatedChange]:
        """Return what is to be sent of users who have changed."""
        return [
            DatedChange(change, seen.at)
            for user_id in user_ids
            for seen in (self.changed[user_id],)
            for change in self.users.get(user_id, NOT_A_USER).changes_to(user_id, seen.user)
        ]

    def mark_sent(self, user_ids: Sequence[str]) -> None:
        """Remember that what has changed of users was sent."""
        for user_id in user_ids:
            user = self.changed.pop(user_id).user
            if user == NOT_A_USER:
                self.users.pop(user_id, None)
            else:
                self.users[user_id] = user

    def _removals(self) -> Removals:
        holders = sum(bool(user.products) for user in self.users.values())
        # Whoever has another product in its place has changed over, as whole companies do.
        removed = sum(
            bool(before - after) and not after - before
            for before, after in (
                (set(self.users.get(user_id, NOT_A_USER).products), set(seen.user.products))
                for user_id, seen in self.changed.items()
            )
        )
        return Removals(removed, holders)


_read = Decoder(GraphLicenses).decode


def read_graph_licenses(content: bytes, name: str) -> GraphLicenses:
    """Read a state. Raises `Unavailable`."""
    try:
        return _read(content)
    except (DecodeError, UnicodeError, RecursionError) as error:
        # msgspec's message names the place and the types, and quotes nothing.
        msg = (
            f"the state {name} is damaged: {error}. Put its former version back, or delete it; "
            "then all users are read anew"
        )
        raise Unavailable(msg) from error


def written_graph_licenses(licenses: GraphLicenses) -> bytes:
    """Write a state."""
    return encode(licenses)
