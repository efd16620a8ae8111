"""Books read piece by piece, what is known of them, and organizations listed page by page."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import (
    ANSWERED,
    LONG_AGO,
    WITHOUT_WAITING,
    card,
    ended,
    entitled_changes,
    fact,
    processed_event,
    purchase,
)

from perminute.adapters.memory import PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls
from perminute.application.check_books import CheckBooks, ReconcileBooks
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.credit.ledger import EntryType, LedgerEntry
from perminute.domain.credit.transaction import IdentityKind, Transaction
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.pools.pools import DrawPosition, MinutePool, Month
from perminute.domain.reconciliation.book_checks import (
    NOTHING_PROVEN,
    BooksCheck,
    BooksReading,
    BookSums,
    agrees,
    differences,
)
from perminute.domain.reconciliation.reconciliation import AccountTotals, reconcile
from perminute.ports.messaging import RunOrganization

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from stores import Stores

    from perminute.domain.reconciliation.book_checks import BooksCursor

DAY = timedelta(days=1)
NIGHT = ANSWERED + DAY
NOVEMBER = Month(2026, 11)


class Scene:
    """An organization that has bought credit, and calls."""

    def __init__(self, stores: Stores, organization: str) -> None:
        self.stores, self.organization = stores, organization
        stores.licensing.record(organization, entitled_changes(organization))
        cards = PublishedRateCards(card())
        parts = stores.credit, stores.calls, LicensingCache(stores.licensing), cards
        self.charging = ChargeCalls(*parts, WITHOUT_WAITING)
        self.rerating = RerateCalls(RecordedCalls(*parts, WITHOUT_WAITING), stores.reratings)
        # No night of a test may be the one on which this organization's books are read whole.
        self.check = CheckBooks(
            stores.books,
            stores.checks,
            ReconcileBooks(stores.credit, WITHOUT_WAITING),
            WITHOUT_WAITING,
            whole_within_days=1_000_000,
        )
        self.buy("po-1")

    def buy(self, identity: str) -> None:
        kind, owner = IdentityKind.PURCHASE, self.organization
        named = processed_event(identity, kind=kind, organization_id=owner)
        bought = replace(purchase(identity, amount=1), organization_id=owner, processed_event=named)
        (booked,) = BookCredit(self.stores.credit, WITHOUT_WAITING)([bought])
        assert isinstance(booked, Accepted)

    def charge(self, *call_ids: str, at: datetime = ANSWERED) -> None:
        calls = [
            ended(
                organization_id=self.organization,
                call_id=call_id,
                answered_at=at,
                ended_at=at + timedelta(minutes=2),
            )
            for call_id in call_ids
        ]
        assert all(isinstance(one, Accepted) for one in self.charging(calls))

    def take_license(self, name: str = "late") -> None:
        """Have calls rated anew that were charged."""
        change = LicensingChange(
            self.organization, "adele", (fact("license:MCOMEETACPEA", value=False),)
        )
        event = LicensingEvent(
            change,
            processed_event(f"{self.organization}-{name}", organization_id=self.organization),
            ANSWERED,
        )
        assert ApplyLicensing(self.stores.licensing, WITHOUT_WAITING)([event]) == [Accepted(None)]
        self.work_off()

    def work_off(self) -> None:
        while self.stores.reratings.waiting(self.organization):
            (result,) = self.rerating([ReratingRequest(self.organization)])
            assert isinstance(result, Accepted)

    def night(self, number: int) -> tuple[bool, int, int]:
        """Check the books: whether all were read, and how many entries and calls were."""
        checked = self.check(RunOrganization(NIGHT + number * DAY, self.organization))
        assert (checked.differences, checked.is_repeated) == ((), False)
        return checked.is_whole, checked.entries, checked.calls

    def parts(self, after: BooksCursor | None = None) -> list[tuple[BooksCursor, object]]:
        return list(self.stores.books.parts(self.organization, after=after))


def test_books_read_piece_by_piece_are_those_that_are_read_at_once(
    stores: Stores, organization: str
) -> None:
    scene = Scene(stores, organization)
    scene.charge("a", "b")
    scene.charge("c", at=ANSWERED - 40 * DAY)
    scene.take_license()
    statement = stores.credit.statement(organization)
    assert reconcile(statement) == ()
    standing, at_once = stores.books.account_totals(organization)
    parts = scene.parts()
    entries = [one for _, one in parts if isinstance(one, LedgerEntry)]
    assert sorted(entries, key=lambda one: one.entry_id) == list(statement.entries)
    costs = [one for _, one in parts if not isinstance(one, LedgerEntry)]
    charged: Counter[str | None] = Counter()
    for cost in costs:
        for name, micros in cost.movements:  # type: ignore[attr-defined]
            charged[name] += micros
    assert charged == Counter({k: v for k, v in statement.charges_micros.items() if v})
    assert (standing.entries, at_once) == (len(entries), True)
    assert {entry.type for entry in entries} >= {EntryType.CHARGE, EntryType.ADJUSTMENT}


def test_a_reading_goes_on_after_each_place(stores: Stores, organization: str) -> None:
    scene = Scene(stores, organization)
    scene.charge("a", "b")
    scene.buy("po-2")
    scene.charge("c")
    parts = scene.parts()
    assert len(parts) == 7
    for number, (place, _) in enumerate(parts, 1):
        assert scene.parts(after=place) == parts[number:]


def test_entries_that_are_not_stored_with_calls_are_read_from_a_number_on(
    stores: Stores, organization: str
) -> None:
    scene = Scene(stores, organization)
    scene.charge("a")
    scene.buy("po-2")
    scene.charge("b")
    scene.buy("po-3")

    def read(after: int) -> list[str | None]:
        return [one.cause for one in stores.books.other_entries(organization, after=after)]

    assert read(0) == ["purchase#po-1", "purchase#po-2", "purchase#po-3"]
    assert (read(3), read(5)) == (["purchase#po-3"], [])


def test_the_latest_calls_come_first_each_with_the_entry_that_charged_it(
    stores: Stores, organization: str
) -> None:
    scene = Scene(stores, organization)
    for number in range(30):
        scene.charge(f"{number}", at=ANSWERED + timedelta(minutes=number))
    some = list(stores.books.latest_calls(organization))
    calls = [cost.call_id for _, costs in some for cost in costs]
    assert [len(costs) for _, costs in some] == [25, 5]
    assert set(calls[:25]) == {f"{number}" for number in range(5, 30)}
    for entries, costs in some:
        assert {entry.entry_id for entry in entries} == {
            name for cost in costs for name, _ in cost.movements
        }


def test_a_charge_that_was_posted_late_is_read_with_the_other_entries_and_checked(
    stores: Stores, organization: str
) -> None:
    scene = Scene(stores, organization)
    scene.charge("first")
    assert scene.night(1) == (True, 2, 1)
    late = replace(ended(organization_id=organization, call_id="late"), reported_at=NIGHT + DAY)
    assert isinstance(scene.charging([late])[0], Accepted)
    others = list(stores.books.other_entries(organization, after=2))
    assert [(entry.type, entry.at) for entry in others] == [(EntryType.CHARGE, NIGHT + DAY)]
    in_lists = [entry for some, _ in stores.books.latest_calls(organization) for entry in some]
    assert [entry.entry_id for entry in in_lists] == ["000000000002"]
    # Only what came after the checkpoint is read: the late entry, and calls as far as it needs.
    is_whole, entries, _ = scene.night(2)
    assert (is_whole, entries) == (False, 1)
    assert reconcile(stores.credit.statement(organization)) == ()


def test_a_pool_that_was_drawn_on_is_another_one(stores: Stores, organization: str) -> None:
    account = stores.credit.account(organization)
    pool = MinutePool(organization_id=organization, month=NOVEMBER)
    day = ANSWERED.date()

    def draw(version: int, drawn: MinutePool) -> None:
        before = account._replace(version=version)
        after = before._replace(version=version + 1)
        stores.credit.commit(Transaction(before=before, after=after, pools=(drawn,)))

    draw(0, pool._replace(used_by_day={day: 2}))
    first = stores.books.pools(organization)
    draw(1, pool._replace(used_by_day={day: 1, day + DAY: 1}))
    second = stores.books.pools(organization)
    assert first[NOVEMBER].used == second[NOVEMBER].used == 2
    assert first != second
    assert stores.books.pools(organization) == second


def test_a_night_reads_only_what_is_new(stores: Stores, organization: str) -> None:
    scene = Scene(stores, organization)
    scene.charge("a", "b")
    assert scene.night(0) == (True, 2, 2)
    assert scene.night(1) == (False, 0, 0)
    scene.charge("c")
    scene.buy("po-2")
    assert scene.night(2) == (False, 2, 3)
    # A call of last month lies far behind those of this one, which are read on the way.
    scene.charge("late", at=ANSWERED - 30 * DAY)
    assert scene.night(3) == (False, 1, 4)
    # What was rated anew is explained by the calls that name it, wherever these lie.
    scene.take_license()
    assert scene.night(4) == (False, 1, 4)
    check = stores.checks.check(organization)
    standing, _ = stores.books.account_totals(organization)
    assert check.checkpoint == standing.checkpoint()
    assert (check.whole_at, check.checked_at) == (NIGHT, NIGHT + 4 * DAY)


def test_what_is_known_of_books_is_kept_step_by_step(stores: Stores, organization: str) -> None:
    checks = stores.checks
    unknown = checks.check(organization)
    assert unknown == BooksCheck(organization_id=organization)
    proven = AccountTotals(entries=3, balance_micros=7, debt_micros=0, lots={"000000000001": 7})
    known = replace(unknown, checked_at=NIGHT, whole_at=LONG_AGO, checkpoint=proven, differences=2)
    assert checks.store(known)
    assert not checks.store(known)
    assert checks.check(organization) == replace(known, step=1)
    assert checks.store(replace(known, step=1, differences=0))
    assert not checks.store(replace(known, step=1))
    assert [one for one in checks.all() if one.organization_id == organization] == [
        replace(known, step=2, differences=0)
    ]


def test_a_reading_goes_on_with_what_was_kept_of_it(stores: Stores, organization: str) -> None:
    scene = Scene(stores, organization)
    scene.charge("a", "b")
    standing, _ = stores.books.account_totals(organization)
    pools = stores.books.pools(organization)
    (first, part), *_ = scene.parts()
    sums = BookSums.begin(NOTHING_PROVEN, standing.entries)
    sums.add(part)  # type: ignore[arg-type]
    reading = BooksReading(at=NIGHT, account=standing, pools=pools, sums=sums, cursor=first)
    check = BooksCheck(organization_id=organization, reading=reading)
    assert stores.checks.store(check)
    kept = stores.checks.check(organization)
    assert kept == replace(check, step=1)
    # What is added after it was kept is not known to who reads it again.
    sums.add(part)  # type: ignore[arg-type]
    kept = stores.checks.check(organization)
    assert kept.reading is not None
    for _, rest in stores.books.parts(organization, after=kept.reading.cursor):
        kept.reading.sums.add(rest)
    assert agrees(kept.reading.sums, standing)
    assert differences(organization, kept.reading.sums, standing, pools) == ()


def test_organizations_are_listed_page_by_page(stores: Stores, organization: str) -> None:
    names = {f"{organization}-{number}" for number in range(5)}
    for name in names:
        account = stores.credit.account(name)._replace(version=1)
        stores.credit.commit(Transaction(before=account._replace(version=0), after=account))

    def pages(size: int) -> list[Sequence[str]]:
        found, after = [], None
        while True:
            page = stores.credit.listed_organizations(limit=size, after=after)
            found.append(page.organization_ids)
            after = page.after
            if after is None:
                return found

    for size in (1, 2, 1_000):
        listed = pages(size)
        assert max(map(len, listed)) <= size
        mine = [name for page in listed for name in page if name in names]
        assert sorted(mine) == sorted(names)


@pytest.mark.parametrize("days", [-1, 0])
def test_organizations_with_something_due_are_listed_by_then(
    stores: Stores, organization: str, days: int
) -> None:
    scene = Scene(stores, organization)
    due_at = stores.credit.account(organization).due_at
    assert due_at is not None
    page = stores.credit.listed_organizations(limit=1_000, due_by=due_at + days * DAY)
    assert (organization in page.organization_ids) == (days == 0)
    assert scene.organization == organization


def test_who_has_something_waiting_is_found_until_it_is_done(
    stores: Stores, organization: str
) -> None:
    scene = Scene(stores, organization)
    scene.charge("a")

    def waits() -> bool:
        return organization in stores.reratings.organizations_waiting()

    # Calls of before the first purchase are rated anew, if there are any.
    assert waits()
    scene.work_off()
    assert not waits()
    change = LicensingChange(organization, "adele", (fact("license:MCOMEETACPEA", value=False),))
    named = processed_event(f"{organization}-late", organization_id=organization)
    event = LicensingEvent(change, named, ANSWERED)
    ApplyLicensing(stores.licensing, WITHOUT_WAITING)([event])
    assert waits()
    scene.work_off()
    assert not waits()


def test_who_has_an_unsettled_pool_is_found_until_it_is_settled(
    stores: Stores, organization: str
) -> None:
    pool = MinutePool(organization_id=organization, month=NOVEMBER)
    account = stores.credit.account(organization)

    def write(version: int, written: MinutePool) -> bool:
        before = account._replace(version=version)
        after = before._replace(version=version + 1)
        stores.credit.commit(Transaction(before=before, after=after, pools=(written,)))
        return organization in stores.reratings.organizations_waiting()

    assert write(0, pool.unsettled_from(DrawPosition.start_of(ANSWERED.date())))
    assert not write(1, pool)
