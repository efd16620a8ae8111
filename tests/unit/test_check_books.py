"""Checking books over the twins: since a checkpoint, whole, and in pieces."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, ORGANIZATION, WITHOUT_WAITING, purchase

from perminute.adapters import dynamodb
from perminute.adapters.dynamodb.books import check_item, check_of
from perminute.adapters.memory import InMemoryBookChecks, InMemoryBooks, InMemoryStore
from perminute.application import check_books
from perminute.application.book_credit import BookCredit
from perminute.application.check_books import BooksReport, CheckBooks, ReconcileBooks
from perminute.application.results import Accepted
from perminute.application.retry import NEVER, Deadline
from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.credit.lots import LotShare
from perminute.domain.errors import Unavailable
from perminute.domain.reconciliation.book_checks import BooksCheck, CallCost, is_due_whole
from perminute.ports.messaging import RunOrganization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.domain.reconciliation.book_checks import BooksCursor
    from perminute.domain.reconciliation.reconciliation import AccountTotals

NIGHT = ANSWERED.replace(hour=1, minute=35)
DAY = timedelta(days=1)
CENT = 10_000


@dataclass
class Books(InMemoryBooks):
    """Books that may fail to be read, and remember how much of them was."""

    read: list[BooksCursor] = field(default_factory=list)
    fails_after: int | None = None
    half: int = 0
    """How often account and lots do not belong together."""

    def parts(
        self, organization_id: str, *, after: BooksCursor | None = None
    ) -> Iterator[tuple[BooksCursor, LedgerEntry | CallCost]]:
        for place, part in super().parts(organization_id, after=after):
            if self.fails_after is not None and len(self.read) >= self.fails_after:
                msg = "no answer"
                raise Unavailable(msg)
            self.read.append(place)
            yield place, part

    def account_totals(self, organization_id: str) -> tuple[AccountTotals, bool]:
        standing, at_once = super().account_totals(organization_id)
        if self.half:
            self.half -= 1
            return standing._replace(further_micros=1), False
        return standing, at_once


class World:
    """An organization, whose books are checked by night."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.books = Books(self.store)
        self.checks = InMemoryBookChecks()
        reconcile = ReconcileBooks(self.store, WITHOUT_WAITING)
        self.check = CheckBooks(self.books, self.checks, reconcile, WITHOUT_WAITING)
        self.buy(3)

    def buy(self, number: int) -> None:
        for _ in range(number):
            name = f"po-{len(self.store.entries) + 1}"
            (booked,) = BookCredit(self.store, WITHOUT_WAITING)([purchase(name, amount=1)])
            assert isinstance(booked, Accepted)

    def night(self, number: int, deadline: Deadline = NEVER) -> BooksReport:
        return self.check(RunOrganization(NIGHT + number * DAY, ORGANIZATION), deadline)

    @property
    def known(self) -> BooksCheck:
        return self.checks.check(ORGANIZATION)

    def add_to_balance(self, micros: int) -> None:
        account = self.store.account(ORGANIZATION)
        balance_micros = account.balance_micros + micros
        self.store.accounts[ORGANIZATION] = account._replace(balance_micros=balance_micros)


def for_pieces(number: int) -> Deadline:
    """A deadline that has passed after so many pieces."""
    return Deadline(at=number, clock=partial(next, count(1)))


def test_the_first_time_all_books_are_read_and_then_what_is_new() -> None:
    world = World()
    assert world.night(0) == BooksReport(ORGANIZATION, entries=3, is_whole=True)
    world.buy(2)
    assert world.night(1) == BooksReport(ORGANIZATION, entries=2)
    assert world.known.checkpoint.entries == 5
    assert len(world.books.read) == 3


def test_a_night_that_comes_twice_is_done_once() -> None:
    world = World()
    world.night(1)
    repeated = BooksReport(ORGANIZATION, is_repeated=True)
    assert (world.night(1), world.night(0)) == (repeated, repeated)
    assert world.known.step == 1


def test_what_was_written_without_an_answer_goes_on_and_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client repeats the write, which then finds its own: that is nobody else's."""
    keep = InMemoryBookChecks.store
    monkeypatch.setattr(InMemoryBookChecks, "store", lambda *args: keep(*args) and False)
    world = World()
    assert world.night(0, for_pieces(1)) == BooksReport(ORGANIZATION, entries=1, goes_on=True)
    assert world.night(0).is_whole
    world.add_to_balance(1)
    found = world.night(1)
    assert (bool(found.differences), found.is_repeated) == (True, False)


def test_differences_that_were_found_are_told_again_if_the_night_comes_again() -> None:
    """The invocation that found them may have ended before it reported them."""
    world = World()
    world.add_to_balance(1)
    found = world.night(0).differences
    (again,) = world.night(0).differences
    assert again.message == f"{len(found)} differences were found by this run before"


def test_a_run_for_a_wrong_day_ahead_silences_no_night() -> None:
    world = World()
    world.night(365)
    world.add_to_balance(1)
    assert world.night(0).differences


def test_a_reading_goes_on_where_time_ran_out_and_reads_nothing_twice() -> None:
    world = World()
    goes_on = [world.night(0, for_pieces(1)) for _ in range(3)]
    assert goes_on == [BooksReport(ORGANIZATION, entries=n, goes_on=True) for n in (1, 2, 3)]
    assert world.night(0, for_pieces(1)) == BooksReport(ORGANIZATION, entries=3, is_whole=True)
    assert len(world.books.read) == len(set(world.books.read)) == 3


def test_what_was_read_before_a_failure_is_not_read_again() -> None:
    world = World()
    world.books.fails_after = 2
    for _ in range(2):
        with pytest.raises(Unavailable, match="no answer"):
            world.night(0)
    world.books.fails_after = None
    assert world.night(0).is_whole
    assert len(world.books.read) == len(set(world.books.read)) == 3


def test_what_is_booked_while_books_are_read_is_left_to_the_next_night() -> None:
    world = World()
    world.night(0, for_pieces(1))
    world.buy(1)
    assert world.night(0) == BooksReport(ORGANIZATION, entries=3, is_whole=True)
    assert world.known.checkpoint.entries == 3
    assert world.night(1) == BooksReport(ORGANIZATION, entries=1)


def test_a_difference_is_told_once_all_books_are_read_and_moves_no_checkpoint() -> None:
    world = World()
    world.night(0)
    before = world.known
    world.buy(1)
    world.add_to_balance(CENT)
    for number in (1, 2):
        found = world.night(number)
        assert (found.is_whole, found.entries) == (True, 4)
        assert [one.message for one in found.differences] == [
            "the balance is 4.01, but the entries add up to 4",
            "the balance is 4.01, but lots less debt are 4",
        ]
        assert found.differences[0].entry_ids == ("000000000004",)
        assert world.known.differences == 2
        assert (world.known.checkpoint, world.known.whole_at) == (
            before.checkpoint,
            before.whole_at,
        )
    world.add_to_balance(-CENT)
    assert world.night(3) == BooksReport(ORGANIZATION, entries=4, is_whole=True)
    assert world.known.checkpoint.entries == 4


def test_what_differs_in_long_books_is_told_if_it_differs_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check_books, "MAX_IN_MEMORY", 2)
    world = World()
    world.add_to_balance(CENT)
    assert [world.night(0, for_pieces(2)).goes_on for _ in range(3)] == [True] * 3
    found = world.night(0)
    assert [one.message for one in found.differences] == [
        "the balance is 3.01, but the entries add up to 3",
        "the balance is 3.01, but lots less debt are 3",
    ]
    assert len(world.books.read) == 6


def test_what_differs_once_was_just_being_booked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_books, "MAX_IN_MEMORY", 2)
    world = World()
    world.books.half = WITHOUT_WAITING.attempts + 1
    assert world.night(0) == BooksReport(ORGANIZATION, entries=3, is_whole=True)
    assert (len(world.books.read), world.books.half) == (6, 0)


def test_account_and_lots_are_read_again_until_they_belong_together() -> None:
    world = World()
    world.books.half = WITHOUT_WAITING.attempts - 1
    assert world.night(0) == BooksReport(ORGANIZATION, entries=3, is_whole=True)
    assert len(world.books.read) == 3


def test_who_is_slower_than_another_reports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    known = world.known
    world.night(0)
    monkeypatch.setattr(world.checks, "check", lambda _: known)
    assert world.night(0) == BooksReport(ORGANIZATION, is_repeated=True)


def test_calls_that_explain_nothing_end_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """All books are read then: that goes on where it stopped, and the way back would not."""
    monkeypatch.setattr(check_books, "MAX_CALLS_BACK", 1)
    world = World()
    world.night(0)
    world.buy(1)
    asked: list[int] = []

    def endless(_: str) -> Iterator[tuple[list[LedgerEntry], list[CallCost]]]:
        for number in count():
            asked.append(number)
            yield [], [CallCost(f"{number}", ())]

    monkeypatch.setattr(world.books, "latest_calls", endless)
    monkeypatch.setattr(world.books, "other_entries", lambda *_, **__: iter(()))
    assert world.night(1) == BooksReport(ORGANIZATION, entries=4, is_whole=True)
    assert asked == [0, 1]


def test_a_call_that_is_listed_twice_is_added_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.night(0)
    account = world.store.account(ORGANIZATION)
    charged = LedgerEntry(
        organization_id=ORGANIZATION,
        entry_id=entry_id(4),
        type=EntryType.CHARGE,
        amount_micros=-2,
        balance_after_micros=account.balance_micros - 2,
        at=ANSWERED,
        lots=(LotShare(account.lots[0].lot_id, "po-1", -2),),
    )
    first, *others = account.lots
    left = first._replace(remaining_micros=first.remaining_micros - 2)
    world.store.accounts[ORGANIZATION] = account._replace(
        entries=4,
        balance_micros=charged.balance_after_micros,
        lots=(left, *others),
    )
    once, other = (CallCost(name, ((charged.entry_id, 1),)) for name in "ab")
    listed = [([charged], [once]), ([], [once, other])]
    monkeypatch.setattr(world.books, "latest_calls", lambda _: iter(listed))
    assert world.night(1) == BooksReport(ORGANIZATION, entries=1, calls=2)


def test_what_was_kept_in_another_format_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.night(0)
    item = check_item(world.known)
    monkeypatch.setattr(dynamodb.books, "FORMAT", 0)
    world.checks.stored[ORGANIZATION] = check_of(item)
    assert world.known.whole_at is None
    assert world.night(1) == BooksReport(ORGANIZATION, entries=3, is_whole=True)


# When all books are read


def due(check: BooksCheck, days: int, within: int = 28) -> list[int]:
    """On which days after the last whole reading one is due."""
    assert check.whole_at is not None
    return [n for n in range(1, days) if is_due_whole(check, check.whole_at + n * DAY, within)]


def read(name: str, whole_at: datetime = NIGHT) -> BooksCheck:
    return BooksCheck(organization_id=name, checked_at=whole_at, whole_at=whole_at)


def test_all_books_are_read_within_the_days_and_a_like_share_each_night() -> None:
    first = [due(read(f"org-{number}"), 29)[0] for number in range(2_800)]
    assert {*first} == set(range(1, 29))
    assert all(60 < first.count(day) < 140 for day in range(1, 29))


def test_each_organization_has_its_day_of_the_cycle() -> None:
    check = read("contoso")
    (day,) = [n for n in due(check, 29) if n < 28]
    on_its_day = read("contoso", NIGHT + day * DAY)
    assert due(on_its_day, 30)[0] == 28
    assert is_due_whole(on_its_day, NIGHT + (day + 29) * DAY, 28), "the day was missed"


@pytest.mark.parametrize("days", [1, 2])
def test_a_short_cycle_reads_all_books_as_often(days: int) -> None:
    assert due(read("contoso"), 5, within=days)[0] <= days


def test_books_that_were_never_read_whole_or_differ_are_due() -> None:
    assert is_due_whole(BooksCheck(organization_id="contoso"), NIGHT, 28)
    assert is_due_whole(replace(read("contoso"), differences=1), NIGHT, 28)
    assert not is_due_whole(read("contoso"), NIGHT, 28)
