"""`perminute reconcile --status` against a stack whose books are checked by night."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from perminute.adapters.dynamodb.books import DynamoDBBookChecks
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.transaction import Transaction
from perminute.domain.reconciliation.book_checks import (
    NOTHING_PROVEN,
    BooksCheck,
    BooksReading,
    BookSums,
)
from perminute.domain.reconciliation.reconciliation import AccountTotals
from perminute_local.cli import main
from perminute_local.replay.run import table_names
from perminute_local.stack import STACK_NAME

if TYPE_CHECKING:
    from perminute_local.stack import Stack

NIGHT = datetime(2026, 11, 3, 1, 35, tzinfo=UTC)
DAY = timedelta(days=1)


class Nights:
    """Organizations of a stack, and what is known of their books."""

    def __init__(self, stack: Stack) -> None:
        schema = Tables.bind(connect(), table_names(stack))
        self.credit = DynamoDBCreditStore(schema)
        self.checks = DynamoDBBookChecks(schema.connection, stack.setting("BOOK_CHECKS_TABLE"))

    def add(self, name: str, check: BooksCheck | None = None) -> None:
        account = Account(organization_id=name)
        self.credit.commit(Transaction(before=account, after=account._replace(version=1)))
        if check is not None:
            assert self.checks.store(check)


@pytest.fixture
def nights(moto_stack: Stack) -> Nights:
    return Nights(moto_stack)


def status(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    code = main(["reconcile", "--stack", STACK_NAME, "--status", *options])
    return code, capsys.readouterr().out


def agreed(name: str, at: datetime = NIGHT) -> BooksCheck:
    return BooksCheck(
        organization_id=name,
        checked_at=at,
        whole_at=NIGHT - DAY,
        checkpoint=AccountTotals(entries=7),
    )


def test_before_the_first_night_nothing_is_known(
    nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    nights.add("contoso")
    assert status(capsys) == (0, "none of 1 organization has been checked yet\n")


def test_it_says_what_was_checked_what_differs_and_what_is_being_read(
    nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    nights.add("contoso", agreed("contoso"))
    nights.add("fabrikam", agreed("fabrikam", NIGHT - DAY))
    nights.add("litware", replace(agreed("litware"), differences=2))
    sums = BookSums.begin(NOTHING_PROVEN, 5_000)
    sums.entries, sums.calls = 4_000, 100
    standing = AccountTotals(entries=5_000, balance_micros=0, debt_micros=0, lots={})
    reading = BooksReading(at=NIGHT, account=standing, pools={}, sums=sums)
    nights.add("tailspin", BooksCheck(organization_id="tailspin", reading=reading))
    nights.add("new")
    assert status(capsys) == (
        1,
        "run of 2026-11-03T01:35:00Z: 2 of 5 organizations checked, 1 differs, 1 is being read\n"
        "some books have never been read whole\n"
        "litware: 2 differences, agreed up to entry 7\n"
        "tailspin: being read, 4000 of 5000 entries and 100 calls so far\n"
        "fabrikam: not checked\n"
        "new: not checked\n"
        "tailspin: not checked\n",
    )
    code, shown = status(capsys, "--json")
    assert (code, json.loads(shown)) == (
        1,
        {
            "run": "2026-11-03T01:35:00Z",
            "organizations": 5,
            "checked": 2,
            "wholeSince": None,
            "differing": [{"organizationId": "litware", "differences": 2, "agreedUpTo": 7}],
            "beingRead": [
                {
                    "organizationId": "tailspin",
                    "since": "2026-11-03T01:35:00Z",
                    "entries": 4_000,
                    "ofEntries": 5_000,
                    "calls": 100,
                }
            ],
            "unchecked": ["fabrikam", "new", "tailspin"],
        },
    )


def test_books_that_agree_are_exit_code_0_and_no_more_are_named_than_can_be_read(
    nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    nights.add("contoso", agreed("contoso"))
    code, shown = status(capsys)
    whole = "all books have been read whole since 2026-11-02T01:35:00Z"
    assert (code, shown.splitlines()[1:]) == (0, [whole])
    for number in range(22):
        nights.add(f"org-{number:02}")
    assert status(capsys)[1].splitlines()[-2:] == ["org-19: not checked", "… and 2 more"]


def test_it_is_of_all_organizations(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights.add("contoso")
    assert status(capsys, "--organization", "contoso")[0] == 2
