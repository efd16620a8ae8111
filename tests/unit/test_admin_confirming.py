"""What a confirmation shows, and whom it asks."""

from __future__ import annotations

import io
import sys

import pytest

from perminute_local.admin.foresee import ChangedValue
from perminute_local.admin.run import confirmed, show
from perminute_local.wrong_call import WrongCall


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_rows_stand_below_each_other_and_no_id_moves_the_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        ChangedValue("contoso", "balance", "-5 EUR", "45 EUR"),
        ChangedValue("contoso", "credit \x1b[31mpo-1", None, "45 EUR"),
    ]
    show("Credit Purchased of contoso:", rows, ["look \x1b twice"])
    assert capsys.readouterr() == (
        "",
        "Credit Purchased of contoso:\n"
        "  contoso  balance              -5 EUR → 45 EUR\n"
        "  contoso  credit \\x1b[31mpo-1  -      → 45 EUR\n"
        "warning: look \\x1b twice\n",
    )


def test_of_many_users_the_same_changes_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [ChangedValue(f"user-{n}", "country", "FR" if n == 3 else None, "DE") for n in range(21)]
    show("21 events:", rows, [f"user-{n}: check the id" for n in range(22)])
    shown = capsys.readouterr().err.splitlines()
    assert shown[:3] == [
        "21 events:",
        "  20 users  country  -  → DE",
        "  user-3    country  FR → DE",
    ]
    assert len(shown) == 3 + 20 + 1
    assert shown[-1] == "warning: and 2 more, all of them with --json"


def test_changes_that_are_all_different_fit_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    show(
        "One:",
        [ChangedValue("contoso", f"credit po-{n:02}", "1 EUR", "0 EUR") for n in range(25)],
        [],
    )
    shown = capsys.readouterr().err.splitlines()
    assert shown[1] == "  contoso  credit po-00  1 EUR → 0 EUR"
    assert shown[20] == "  contoso  credit po-19  1 EUR → 0 EUR"
    assert shown[21:] == ["  and 5 more changes, all of them with --json"]


def test_nothing_that_changes_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show("Credits Configured of contoso:", [], [])
    assert capsys.readouterr().err.endswith(":\n  nothing that is recorded changes\n")


@pytest.mark.parametrize(
    ("answer", "agreed"),
    [("y\n", True), ("Yes\n", True), ("\n", False), ("n\n", False), ("", False)],
)
def test_only_yes_is_yes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    *,
    agreed: bool,
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert confirmed("Send to perminute-prod?", yes=False) is agreed
    assert capsys.readouterr() == ("", "Send to perminute-prod? [y/N] ")


def test_without_a_terminal_only_yes_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert confirmed("Send?", yes=True)
    with pytest.raises(WrongCall, match="nothing was sent: there is no terminal to ask on"):
        confirmed("Send?", yes=False)
