"""What admins send by the command line: what they are shown before, and what becomes of it."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from stores import stores_on

from perminute.application.apply_licensing import ApplyLicensing
from perminute.application.book_credit import BookCredit
from perminute.application.results import Accepted
from perminute.application.retry import RetryPolicy
from perminute.domain.values.times import format_instant
from perminute.events.billing import BILLING, credit_event
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, licensing_event
from perminute_local.admin import run
from perminute_local.cli import main
from perminute_local.replay.results import drain
from perminute_local.replay.run import table_names
from perminute_local.sending import EventSender
from perminute_local.stack import STACK_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from stores import Stores

    from perminute.domain.credit.accounts import Account
    from perminute_local.stack import Stack

CONTOSO = ("--organization", "contoso", "--stack", STACK_NAME)
BUY = ("credit", "buy", *CONTOSO, "--currency", "EUR")
CONFIGURE = ("credit", "configure", *CONTOSO)
ASSIGN = ("license", "assign", *CONTOSO, "--license", "payPerMinute")


class Admin:
    """Calls commands, has the functions process what they send, and reads what they say.

    The organization is called contoso in what is said; on the emulator, which all tests share, it
    has a name of its own.
    """

    def __init__(
        self, stack: Stack, organization_id: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.stores: Stores = stores_on(table_names(stack))
        self.organization_id = organization_id
        self._capsys = capsys
        self._queues = [stack.queues[name].url for name in ("CreditQueue", "LicensingQueue")]

    def __call__(self, *words: str, code: int = 0) -> tuple[str, list[str]]:
        """Return the output, and the lines on standard error, of a command with this exit code."""
        assert main([word.replace("contoso", self.organization_id) for word in words]) == code
        shown = self._capsys.readouterr()
        out, err = (text.replace(self.organization_id, "contoso") for text in shown)
        return out, err.splitlines()

    def sent(self) -> list[dict[str, Any]]:
        """Take what has reached the queues of the functions since the last time."""
        messages = [json.loads(one["Body"]) for queue in self._queues for one in drain(queue)]
        ours = {"organizationId": self.organization_id}
        return [event for event in messages if event["detail"].items() >= ours.items()]

    def account(self) -> Account:
        return self.stores.credit.account(self.organization_id)

    def send(self, *words: str) -> list[str]:
        """Send without a question, process what arrives, and return what was shown before."""
        _, lines = self(*words, "--yes")
        for event in self.sent():
            self.process(event)
        return lines

    def process(self, event: dict[str, Any]) -> None:
        body = json.dumps(event).replace("contoso", self.organization_id)
        if event["source"] == "perminute.billing":
            change = credit_event(read_event(body, BILLING))
            (booked,) = BookCredit(self.stores.credit, RetryPolicy())([change])
            assert isinstance(booked, Accepted), booked
        else:
            fact = licensing_event(read_event(body, LICENSING))
            assert ApplyLicensing(self.stores.licensing, RetryPolicy())([fact]) == [Accepted(None)]


@pytest.fixture
def admin(ministack_stack: Stack, organization: str, capsys: pytest.CaptureFixture[str]) -> Admin:
    return Admin(ministack_stack, organization, capsys)


def table(lines: list[str]) -> list[list[str]]:
    """Return the rows of what would change: what of whom, as it is, and as it would be."""
    rows = [line for line in lines if line.startswith("  ")]
    return [[" ".join(part.split()) for part in row.split("→")] for row in rows]


def day(days: int) -> str:
    return format_instant(datetime.now(UTC).replace(microsecond=0) + timedelta(days=days))


def test_settings_that_are_not_named_stay_and_named_ones_are_cleared(admin: Admin) -> None:
    first = ("--currency", "EUR", "--low-balance-threshold", "20", "--low-balance-threshold", "5")
    lines = admin.send(*CONFIGURE, *first, "--daily-spend-limit", "100")
    assert ["contoso dailySpendLimit -", "100"] in table(lines)
    assert "warning: contoso: nothing is recorded of this organization yet; check the id" in lines
    recharge = ("--auto-recharge", "--trigger-amount", "10", "--recharge-amount", "50")
    lines = admin.send(*CONFIGURE, *recharge, "--clear", "daily-spend-limit")
    assert table(lines) == [
        ["contoso dailySpendLimit 100", "-"],
        ["contoso autoRecharge.enabled -", "true"],
        ["contoso autoRecharge.triggerAmount -", "10"],
        ["contoso autoRecharge.rechargeAmount -", "50"],
    ]
    budget = ("--monthly-budget", "900")
    lines = admin.send(*CONFIGURE, "--no-auto-recharge", "--late-usage-hours", "24", *budget)
    assert table(lines) == [
        ["contoso autoRecharge.enabled true", "-"],
        ["contoso autoRecharge.triggerAmount 10", "-"],
        ["contoso autoRecharge.rechargeAmount 50", "-"],
        ["contoso lateUsageHours 72", "24"],
        ["contoso monthlyBudget -", "900"],
    ]
    settings = admin.account().settings
    assert settings is not None
    assert settings.low_balance_thresholds_micros == (20_000_000, 5_000_000)
    assert (settings.daily_spend_limit_micros, settings.auto_recharge) == (None, None)
    assert settings.monthly_budget_micros == 900_000_000


def test_a_purchase_shows_the_balance_the_debt_and_the_expiry(admin: Admin) -> None:
    expires = day(100)
    bought = (*BUY, "--amount", "50", "--purchase-id", "po-1", "--expires-at", expires)
    assert table(admin.send(*bought)) == [
        ["contoso currency -", "EUR"],
        ["contoso balance 0 EUR", "50 EUR"],
        [f"contoso credit po-1 until {expires} -", "50 EUR"],
    ]
    adjust = ("credit", "adjust", *CONTOSO, "--amount", "-70", "--reason", "counted twice")
    assert table(admin.send(*adjust)) == [
        ["contoso balance 50 EUR", "-20 EUR"],
        ["contoso debt 0 EUR", "20 EUR"],
        ["contoso credit po-1 50 EUR", "0 EUR"],
        ["contoso notification -", "BalanceExhausted"],
    ]
    again = (*BUY, "--amount", "100", "--purchase-id", "po-2", "--expires-at", expires)
    assert table(admin.send(*again)) == [
        ["contoso balance -20 EUR", "80 EUR"],
        ["contoso debt 20 EUR", "0 EUR"],
        [f"contoso credit po-2 until {expires} -", "80 EUR"],
    ]


def test_a_chargeback_shows_what_it_takes(admin: Admin) -> None:
    admin.send(*BUY, "--amount", "50", "--purchase-id", "po-1")
    admin.send(*BUY, "--amount", "30", "--purchase-id", "po-2")
    back = ("credit", "adjust", *CONTOSO, "--reason", "chargeback", "--purchase-id", "po-1")
    assert table(admin(*back, "--amount", "-20", "--yes")[1]) == [
        ["contoso balance 80 EUR", "60 EUR"],
        ["contoso credit po-1 50 EUR", "30 EUR"],
    ]
    _, lines = admin(*back, "--amount", "-60", "--yes", code=1)
    assert lines[0].startswith(
        "perminute: perminute would refuse this, so nothing was sent: --amount: takes back 60, but "
        "purchase po-1 brought 50"
    )


def test_a_purchase_that_has_a_recharge_asked_for_says_so(admin: Admin) -> None:
    admin.send(*BUY, "--amount", "50")
    recharge = ("--auto-recharge", "--trigger-amount", "60", "--recharge-amount", "25")
    lines = admin.send(*CONFIGURE, *recharge)
    assert ["contoso notification -", "RechargeRequested: 25 EUR are to be bought"] in table(lines)


def unprocessed(admin: Admin, *words: str) -> list[str]:
    """Send, and return what was shown before; nothing is booked."""
    _, lines = admin(*words, "--yes")
    admin.sent()
    return lines


def test_a_payment_that_pays_no_recharge_is_warned_of(admin: Admin) -> None:
    admin.send(*BUY, "--amount", "50", "--purchase-id", "po-1")
    paid = (*BUY, "--amount", "20", "--purchase-id", "po-2", "--recharge-id")
    none = "warning: contoso: no recharge r-1 waits for a payment; none is open"
    assert none in unprocessed(admin, *paid, "r-1")
    recharge = ("--auto-recharge", "--trigger-amount", "60", "--recharge-amount", "25")
    assert not [line for line in admin.send(*CONFIGURE, *recharge) if "warning" in line]
    waiting = admin.account().recharge.open
    assert waiting is not None
    other = f"warning: contoso: no recharge r-1 waits for a payment; open is {waiting.recharge_id}"
    assert other in unprocessed(admin, *paid, "r-1")
    less = f"warning: contoso: recharge {waiting.recharge_id} was requested for 25 EUR"
    assert less in unprocessed(admin, *paid, waiting.recharge_id)
    right = (*BUY, "--amount", "25", "--recharge-id", waiting.recharge_id)
    assert not [line for line in unprocessed(admin, *right) if "warning" in line]


def test_a_limit_below_one_recharge_is_warned_of(admin: Admin) -> None:
    admin.send(*BUY, "--amount", "50")
    recharge = ("--auto-recharge", "--trigger-amount", "10", "--recharge-amount", "25")
    below = "warning: contoso: the monthly limit is below one recharge, so none is requested"
    assert below in unprocessed(admin, *CONFIGURE, *recharge, "--monthly-limit", "24.99")
    assert below not in unprocessed(admin, *CONFIGURE, *recharge, "--monthly-limit", "25")


def test_lots_beyond_the_account_item_are_counted(admin: Admin) -> None:
    """They are moved up forty at a time, which the preview must do without writing it."""
    for number in range(60):
        options = ("--amount", "1", "--currency", "EUR", "--purchase-id", f"po-{number:02}")
        out, _ = admin("credit", "buy", "--organization", "contoso", "--print", *options)
        admin.process(json.loads(out))
    adjust = ("credit", "adjust", *CONTOSO, "--amount", "-59.5", "--reason", "moved")
    lines = admin.send(*adjust)
    assert table(lines)[0] == ["contoso balance 60 EUR", "0.5 EUR"]
    assert table(lines)[-1][0] == "and 41 more changes, all of them with --json"
    assert admin.account().balance_micros == 500_000


@pytest.mark.parametrize(
    "words",
    [
        (*BUY, "--amount", "50", "--purchase-id", "po-1"),
        (*CONFIGURE, "--currency", "EUR", "--daily-spend-limit", "5", "--change-id", "T-1"),
        (*ASSIGN, "--user", "adele", "--change-id", "T-1"),
        (*ASSIGN, "--user", "adele", "--user", "bob", "--change-id", "T-1"),
        ("organization", "set", *CONTOSO, "--licensing-program", "volume", "--change-id", "T-1"),
        ("user", "set", *CONTOSO, "--user", "adele", "--country", "DE", "--change-id", "T-1"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_command_that_is_repeated_under_its_id_sends_nothing(
    admin: Admin, words: tuple[str, ...]
) -> None:
    admin.send(*words)
    out, lines = admin(*words)
    assert out.startswith("recorded already, changes nothing: ")
    assert (lines, admin.sent()) == ([], [])
    document = json.loads(admin(*words, "--json")[0])
    assert {one["status"] for one in document["events"]} == {"alreadyRecorded"}


def test_another_statement_under_a_known_id_is_refused_before_it_is_sent(admin: Admin) -> None:
    admin.send(*ASSIGN, "--user", "adele", "--change-id", "T-1")
    changed = ("license", "assign", *CONTOSO, "--license", "subscription", "--user", "adele")
    _, lines = admin(*changed, "--change-id", "T-1", "--yes", code=1)
    assert lines == [
        "perminute: perminute would refuse this, so nothing was sent: --change-id: conflict: T-1 "
        "is recorded with another license; the record stands, send the new facts under an identity "
        "of their own"
    ]
    out, _ = admin(*changed, "--change-id", "T-1", "--yes", "--json", code=1)
    assert json.loads(out)["error"] == "refused"
    assert admin.sent() == []


def test_another_currency_is_refused_before_it_is_sent(admin: Admin) -> None:
    admin.send(*BUY, "--amount", "50")
    words = ("credit", "buy", *CONTOSO, "--currency", "USD", "--amount", "5", "--yes")
    _, lines = admin(*words, code=1)
    assert lines == [
        "perminute: perminute would refuse this, so nothing was sent: --currency: is USD, but the "
        "credit of contoso is kept in EUR, which cannot change"
    ]


def test_without_a_terminal_what_would_change_is_shown_and_nothing_is_sent(admin: Admin) -> None:
    out, lines = admin(*BUY, "--amount", "50", code=2)
    assert ["contoso balance 0 EUR", "50 EUR"] in table(lines)
    assert lines[-1] == (
        "perminute: nothing was sent: there is no terminal to ask on; add --yes to send without "
        "asking"
    )
    assert (out, admin.sent()) == ("", [])


def test_who_answers_no_sends_nothing(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    out, lines = admin(*BUY, "--amount", "50", "--purchase-id", "po-1", code=1)
    asked = "Send to perminute? [y/N] not sent: Credit Purchased purchaseId po-1: the answer was no"
    assert lines[-1] == asked
    assert (out, admin.sent()) == ("", [])
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    out, _ = admin(*BUY, "--amount", "50", "--purchase-id", "po-1")
    (event,) = admin.sent()
    assert out == f"sent: Credit Purchased purchaseId po-1 (event id {event['id']})\n"


def test_users_of_a_file_are_sent_in_batches(admin: Admin, tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    file.write_text("".join(f"user-{number}\n" for number in range(23)))
    lines = admin.send(*ASSIGN, "--users", str(file))
    assert lines[:2] == [
        "23 events License Assigned of contoso, on perminute:",
        "  23 users  license payPerMinute  not assigned → assigned",
    ]
    users = [f"user-{number}" for number in range(23)]
    licensing = admin.stores.licensing.licensing(admin.organization_id, users)
    now = datetime.now(UTC)
    assert all(licensing.user_value(one, "license:MCOMEETACPEA", now) for one in users)


def test_what_holds_later_and_what_is_rated_again_is_said(admin: Admin) -> None:
    set_user = ("user", "set", *CONTOSO, "--user", "adele")
    later, earlier = day(10), day(-10)
    assert admin.send(*set_user, "--country", "FR", "--effective-at", later)[2] == (
        "warning: adele: no licensing event of this user is recorded; check the id"
    )
    lines = admin.send(*set_user, "--country", "DE", "--effective-at", earlier)
    assert lines[1:4] == [
        "  adele  country  - → DE",
        f"warning: adele: country holds until {later}, then FR",
        f"warning: adele: calls answered since {earlier} are rated again",
    ]
    lines = admin.send(*set_user, "--monthly-spend-limit", "12.5", "--no-toll-free-dial-in-allowed")
    assert table(lines) == [
        ["adele tollFreeDialInAllowed -", "false"],
        ["adele monthlySpendLimit -", "12.5"],
    ]


def test_a_statement_that_a_later_one_of_the_same_instant_overrules_is_said(admin: Admin) -> None:
    remove = ("license", "remove", *CONTOSO, "--license", "payPerMinute", "--user", "adele")
    at = ("--effective-at", day(-1))
    admin.send(*remove, *at)
    lines = admin.send(*ASSIGN, "--user", "adele", *at, "--issued-at", day(-1))
    assert lines[1] == "  adele  license payPerMinute  not assigned → not assigned"
    assert lines[2].startswith("warning: adele: license payPerMinute stays as it is, by another")


def test_json_says_what_was_sent_and_what_it_changes(admin: Admin) -> None:
    words = ("license", "purchased", *CONTOSO, "--license", "subscription", "--quantity", "115")
    out, _ = admin(*words, "--change-id", "T-1", "--yes", "--json")
    (event,) = admin.sent()
    assert json.loads(out) == {
        "events": [
            {
                "status": "sent",
                "eventId": event["id"],
                "source": "perminute.licensing",
                "detail-type": "Licenses Purchased",
                "detail": {**event["detail"], "organizationId": "contoso"},
            }
        ],
        "changes": [
            {
                "subject": "contoso",
                "name": "subscription licenses purchased",
                "before": None,
                "after": "115",
            }
        ],
        "warnings": [
            "contoso: no licensing event of this organization is recorded; check the id",
        ],
    }


def test_what_the_bus_does_not_take_is_named_with_how_to_send_it_again(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bus:
        def put_events(self, *, Entries: list[Any]) -> Any:  # noqa: N803 - as boto3 has it
            taken = {"EventId": "e-1"}
            refused = {"ErrorCode": "MalformedDetail", "ErrorMessage": "no"}
            return {"FailedEntryCount": 1, "Entries": [taken, refused][: len(Entries)]}

    monkeypatch.setattr(run, "sender_to", lambda name: EventSender(Bus(), name))
    words = (*ASSIGN, "--user", "adele", "--user", "bob", "--change-id", "T-1", "--yes")
    out, lines = admin(*words, code=1)
    assert out.startswith("sent: License Assigned userId adele license payPerMinute changeId ")
    assert lines[-3].startswith("not sent: License Assigned userId bob license payPerMinute")
    assert lines[-3].endswith(": MalformedDetail: no")
    assert lines[-1].startswith("the same command with --change-id T-1 --issued-at 20")
    document = json.loads(admin(*words, "--json", code=1)[0])
    assert [one["status"] for one in document["events"]] == ["sent", "notSent"]


def test_values_are_refused_before_the_stack_is_asked_for_anything_else(admin: Admin) -> None:
    _, lines = admin(*BUY, "--amount", "1,5", "--yes", code=2)
    assert lines == [
        "perminute: --amount: must be a decimal string with at most 6 decimals, such as 0.026"
    ]
    words = ("credit", "buy", "--organization", "contoso", "--currency", "EUR", "--amount", "5")
    assert admin(*words, code=2)[1] == [
        "perminute: needs either --stack NAME, to send the events, or --print, to write them"
    ]
    assert admin(*words, "--print", "--stack", "s", code=2)[1][0].startswith("perminute: needs ei")
    assert admin(*words, "--stack", "another", code=2)[1][0].startswith("perminute: another: ")


def test_printed_events_are_read_by_the_functions(admin: Admin) -> None:
    contoso = ("--organization", "contoso", "--print")
    commands = [
        ("credit", "configure", *contoso, "--currency", "EUR", "--max-concurrent-calls", "3"),
        ("credit", "buy", *contoso, "--currency", "EUR", "--amount", "10"),
        ("credit", "adjust", *contoso, "--amount", "-1", "--reason", "counted twice"),
        ("license", "assign", *contoso, "--license", "payPerMinute", "--user", "adele"),
        ("license", "remove", *contoso, "--license", "payPerMinute", "--user", "adele"),
        ("license", "purchased", *contoso, "--license", "subscription", "--quantity", "2"),
        ("user", "set", *contoso, "--user", "adele", "--country", "DE"),
        ("organization", "set", *contoso, "--licensing-program", "volume"),
    ]
    for words in commands:
        out, lines = admin(*words)
        admin.process(json.loads(out))
        said = [line for line in lines if "replaces all settings" in line]
        assert len(lines) == len(said) == ("configure" in words)
        assert json.loads(admin(*words, "--json")[0])["events"][0]["detail"]
    assert admin.account().balance_micros == 9_000_000
