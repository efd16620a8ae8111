"""What the options of the admin commands become: events, under ids that count once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from perminute.domain.credit.accounts import Account
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.events.billing import CreditsConfigured
from perminute_local.admin.drafts import (
    Change,
    Statement,
    User,
    adjustment,
    purchase,
    users_named,
)
from perminute_local.admin.foresee import settings_in_force
from perminute_local.cli.admin import CLEARABLE
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 28, 14, 30, 0, 250_000, tzinfo=UTC)
EARLIER = NOW - timedelta(days=2)
HORIZON = timedelta(days=400)
ADELE, BOB = User("adele", "--user"), User("bob", "users.txt:2")
SETTINGS: dict[str, Any] = {
    "currency": "EUR",
    "lowBalanceThresholds": ["20", "5.5"],
    "autoRecharge": {
        "enabled": True,
        "triggerAmount": "10",
        "rechargeAmount": "50",
        "monthlyLimit": "200",
    },
    "dailySpendLimit": "100",
    "prefixHourlySpendLimit": "0",
    "maxConcurrentCalls": 0,
    "maxGrantSeconds": 600,
    "failureHandling": "open",
    "lateUsageHours": 24,
    "monthlyBudget": "900",
}


def change(**more: Any) -> Change:
    return Change(organization_id="contoso", now=NOW, **more)


def details(statement: Statement) -> list[dict[str, Any]]:
    return [draft.event(NOW)["detail"] for draft in statement.drafts]


def refusal(statement: Statement) -> str:
    """Return what is said of the last draft, which the functions' readers refuse."""
    *sound, last = statement.drafts
    for draft in sound:
        draft.read(draft.event(NOW), NOW, HORIZON)
    with pytest.raises(WrongCall) as refused:
        last.read(last.event(NOW), NOW, HORIZON)
    return str(refused.value)


def test_a_license_is_stated_of_each_user_under_an_id_of_its_own() -> None:
    assigned = change(change_id="T-1").of_users(
        "License Assigned", [ADELE, BOB], {"license": "subscription"}
    )
    adele, bob = details(assigned)
    assert adele["changeId"] != bob["changeId"]
    assert adele == {
        "schemaVersion": "1",
        "organizationId": "contoso",
        "changeId": adele["changeId"],
        "issuedAt": "2026-11-28T14:30:00.250000Z",
        "effectiveAt": "2026-11-28T14:30:00.250000Z",
        "userId": "adele",
        "license": "subscription",
    }
    assert assigned.again == "--change-id T-1 --issued-at 2026-11-28T14:30:00.250000Z"


def test_a_command_that_is_repeated_with_its_ids_states_the_same() -> None:
    fields = {"country": "DE"}
    first = change(change_id="T-1").of_users("User Changed", [ADELE, BOB], fields)
    later = Change(
        organization_id="contoso", now=NOW + timedelta(hours=1), change_id="T-1", issued_at=NOW
    ).of_users("User Changed", [BOB, ADELE], fields)
    assert details(first) == details(later)[::-1]


def test_the_change_of_one_user_has_the_id_that_was_given() -> None:
    (detail,) = details(change(change_id="T-1").of_users("User Changed", [BOB], {"country": "DE"}))
    assert detail["changeId"] == "T-1"


def test_a_change_is_effective_when_it_was_decided_unless_said_otherwise() -> None:
    decided = change(issued_at=EARLIER)
    (detail,) = details(decided.of_organization("Organization Changed", {"name": "Contoso"}))
    assert detail["effectiveAt"] == detail["issuedAt"] == "2026-11-26T14:30:00.250000Z"
    effective = change(effective_at=EARLIER)
    (detail,) = details(effective.of_organization("Organization Changed", {"name": "Contoso"}))
    assert detail["issuedAt"] == "2026-11-28T14:30:00.250000Z"
    assert detail["effectiveAt"] == "2026-11-26T14:30:00.250000Z"


def test_money_is_known_by_its_own_id_and_not_by_when_it_was_said() -> None:
    (bought,), again = purchase("contoso", "po-1", {"amount": "50", "currency": "EUR"}, now=NOW)
    assert bought.event(NOW)["detail"] == {
        "schemaVersion": "1",
        "organizationId": "contoso",
        "purchaseId": "po-1",
        "purchasedAt": "2026-11-28T14:30:00.250000Z",
        "amount": "50",
        "currency": "EUR",
    }
    assert again == "--purchase-id po-1 --purchased-at 2026-11-28T14:30:00.250000Z"
    (adjusted,), again = adjustment("contoso", "a-1", {"amount": "-5", "reason": "error"})
    assert adjusted.event(NOW)["detail"] == {
        "schemaVersion": "1",
        "organizationId": "contoso",
        "adjustmentId": "a-1",
        "amount": "-5",
        "reason": "error",
    }
    assert again == "--adjustment-id a-1"


def test_settings_are_changed_and_cleared_one_by_one() -> None:
    fields = {"dailySpendLimit": "70", "autoRecharge.rechargeAmount": "60"}
    ((draft,), _) = change(change_id="c").configure(fields, ["monthly-limit", "late-usage-hours"])
    detail = draft.event(NOW, SETTINGS)["detail"]
    assert detail == {
        "schemaVersion": "1",
        "organizationId": "contoso",
        "changeId": "c",
        **{name: value for name, value in SETTINGS.items() if name != "lateUsageHours"},
        "dailySpendLimit": "70",
        "autoRecharge": {"enabled": True, "triggerAmount": "10", "rechargeAmount": "60"},
    }
    assert SETTINGS["autoRecharge"]["rechargeAmount"] == "50"


def test_what_is_not_set_can_be_cleared() -> None:
    ((draft,), _) = change().configure({}, ["monthly-limit", "daily-spend-limit"])
    assert "autoRecharge" not in draft.event(NOW)["detail"]


def test_settings_in_force_are_stated_with_every_field_that_an_event_has() -> None:
    """A field that is added to the event and not here would be cleared by the next command."""
    stated = {"organizationId": "contoso", **SETTINGS}
    ((draft,), _) = change().configure({"currency": "EUR"}, [])
    event = draft.read(draft.event(NOW, stated), NOW, None)
    settings = event.change
    assert isinstance(settings, CreditSettings)
    assert settings_in_force(Account(organization_id="contoso", settings=settings)) == SETTINGS
    fields = set(CreditsConfigured.__struct_encode_fields__)
    envelope = {"schemaVersion", "organizationId", "changeId", "issuedAt"}
    assert fields == set(SETTINGS) | envelope
    assert {path.partition(".")[0] for path in CLEARABLE.values()} == set(SETTINGS) - {"currency"}


def test_before_there_are_settings_only_the_currency_is_known() -> None:
    assert settings_in_force(Account(organization_id="contoso")) == {}
    bought = Account(organization_id="contoso", currency="EUR")
    assert settings_in_force(bought) == {"currency": "EUR"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dailySpendLimit": "1,5"}, "--daily-spend-limit: must be a decimal string with at most"),
        ({"lowBalanceThresholds": ["1", "-1"]}, "--low-balance-threshold: must not be negative"),
        ({"autoRecharge.triggerAmount": "5"}, "--auto-recharge: is required"),
        (
            {"autoRecharge.enabled": True},
            "--auto-recharge: --trigger-amount and --recharge-amount are required when",
        ),
        ({"autoRecharge.monthlyLimit": "x"}, "--monthly-limit: must be a decimal string"),
        ({"maxGrantSeconds": 0}, "--max-grant-seconds: must be a whole number from 1 to 86400"),
        ({"currency": "eur"}, "--currency: must be an ISO 4217 code"),
    ],
)
def test_a_setting_that_the_functions_would_refuse_is_named_by_its_option(
    fields: dict[str, Any], message: str
) -> None:
    auto = {"autoRecharge.enabled": True} if "autoRecharge.monthlyLimit" in fields else {}
    ((draft,), _) = change().configure({"currency": "EUR", **auto, **fields}, [])
    assert refusal(Statement([draft], "")).startswith(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amount": "0"}, "--amount: must be greater than 0"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "--expires-at: must lie after --purchased-at"),
        (
            {"purchasedAt": "2026-11-28T15:00:00Z"},
            "--purchased-at: lies more than 5 minutes after the event's time",
        ),
    ],
)
def test_a_purchase_that_the_functions_would_refuse_is_named_by_its_option(
    fields: dict[str, Any], message: str
) -> None:
    bought = {"amount": "50", "currency": "EUR", **fields}
    assert refusal(purchase("contoso", None, bought, now=NOW)).startswith(message)


def test_what_is_taken_back_is_below_zero() -> None:
    back = {"amount": "5", "reason": "chargeback", "purchaseId": "po-1"}
    assert refusal(adjustment("contoso", None, back)) == (
        "--amount: must be below 0 with a --purchase-id, which says what is taken back"
    )


def test_a_user_is_named_by_the_line_of_the_file() -> None:
    long = User("x" * 251, "users.txt:3")
    stated = change().of_users("License Removed", [ADELE, long], {"license": "subscription"})
    assert refusal(stated).startswith("users.txt:3: must have at most 250 characters")


def test_a_licensing_event_takes_effect_within_the_horizon_of_the_stack() -> None:
    late = change(effective_at=NOW - timedelta(days=401))
    assert refusal(late.of_users("User Changed", [ADELE], {"country": "DE"})).startswith(
        "--effective-at: lies more than 400 days before the event was issued"
    )


def test_a_contradiction_and_an_empty_command_are_refused() -> None:
    with pytest.raises(WrongCall, match="--clear auto-recharge: is stated as well"):
        change().configure({"autoRecharge.enabled": True}, ["auto-recharge"])
    with pytest.raises(WrongCall, match="nothing is to be changed"):
        change().configure({"dailySpendLimit": None}, [])
    with pytest.raises(WrongCall, match="nothing is to be changed"):
        change().of_users("User Changed", [ADELE], {"country": None})
    with pytest.raises(WrongCall, match="nothing is to be changed"):
        change().of_organization("Organization Changed", {})


def test_users_are_read_from_a_file_once_each_whatever_their_spelling(tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    file.write_text("\ufeff# who is new\n\nadele@contoso.com\r\n  Bob \n # b\n", encoding="utf-8")
    assert users_named(["Adele@Contoso.com"], file) == [
        User("Adele@Contoso.com", "--user"),
        User("Bob", f"{file}:4"),
    ]
    with pytest.raises(WrongCall, match="--user: must not begin or end with a space"):
        users_named([" adele"], None)
    with pytest.raises(WrongCall, match="name a user by --user ID"):
        users_named([], None)


@pytest.mark.parametrize(
    ("line", "mark"), [("bob,DE", "`,`"), ("bob;DE", "`;`"), ("b\tc", "a tab")]
)
def test_a_table_is_no_file_of_users(tmp_path: Path, line: str, mark: str) -> None:
    file = tmp_path / "users.csv"
    file.write_text(f"adele\n{line}\n")
    why = f"users.csv:2: holds {mark}; write one id on each line, and nothing else"
    with pytest.raises(WrongCall, match=f"{why}$"):
        users_named([], file)
