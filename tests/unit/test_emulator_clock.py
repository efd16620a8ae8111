"""The clock of an emulator stands still until it is set, and is read as it was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from perminute_local.deployed.clock import emulator_clock
from perminute_local.deployed.clocked_emulator import Clock

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 11, 2, 9, 30, 0, 250_000, tzinfo=UTC)


def test_what_one_process_sets_the_other_reads(tmp_path: Path) -> None:
    with emulator_clock(tmp_path / "clock", AT) as clock:
        seen_there = Clock(clock.file)
        assert seen_there.time() == AT.timestamp()
        clock.let_pass(timedelta(seconds=201))
        assert clock.now() == AT + timedelta(seconds=201)
        assert seen_there.time() == AT.timestamp() + 201
    assert not (tmp_path / "clock").exists()


def test_all_else_of_the_module_it_stands_in_for_is_there(tmp_path: Path) -> None:
    with emulator_clock(tmp_path / "clock", AT) as clock:
        assert Clock(clock.file).monotonic() > 0
