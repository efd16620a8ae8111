"""Tables on terminals of any width, in a pipe and in a file."""

from __future__ import annotations

import io

import pytest
from builders import LONG_AGO, phone_call, volume
from builders import card as rates
from rich.console import Console
from rich.table import Table

from perminute.domain.credit.accounts import Account
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute_local.replay.report import report
from perminute_local.replay.results import Rejected, Results
from perminute_local.tables import write_tables

ID = "2c3d4e5f-2222-4b3c-8d1e-000000000002@contoso.example"
LONG_ID = "contoso-" * 15
SENTENCE = "endedAt: lies before answeredAt, by the clock of the bridge"


def shown(table: Table, *, width: int, is_terminal: bool) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=is_terminal, color_system=None)
    write_tables([table], console)
    return file.getvalue().splitlines()


def table() -> Table:
    made = Table("why")
    made.add_column("event", no_wrap=True)
    made.add_row(SENTENCE, ID)
    return made


@pytest.mark.parametrize("width", [10, 40, 80])
def test_a_narrow_terminal_folds_sentences_and_no_id(width: int) -> None:
    lines = shown(table(), width=width, is_terminal=True)
    assert any(ID in line for line in lines)
    assert not any(SENTENCE in line for line in lines)


@pytest.mark.parametrize("width", [10, 80])
def test_a_pipe_gets_whole_lines(width: int) -> None:
    assert any(
        SENTENCE in line and ID in line for line in shown(table(), width=width, is_terminal=False)
    )


def test_a_replay_shows_every_id_whole_on_a_narrow_terminal() -> None:
    nobody = RatingContext(Licensing(volume()), rates(), "USD", LONG_AGO)
    usage = rate_call(phone_call(organization_id=LONG_ID), nobody).usage()
    results = Results(
        [Account(organization_id=LONG_ID)], [usage], [], [Rejected(LONG_ID, SENTENCE)]
    )
    file = io.StringIO()
    console = Console(file=file, width=30, force_terminal=True, color_system=None)
    write_tables(report(results), console)
    lines = file.getvalue().splitlines()
    # Its balance, the title of a table, and the event that was refused.
    assert sum(LONG_ID in line for line in lines) == 3
