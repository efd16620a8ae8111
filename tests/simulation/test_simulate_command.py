"""`perminute simulate`: what it prints, and how a failure is made short."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest
from planted_bugs import rearmed_on_every_call

from perminute_local.cli import main
from perminute_local.simulation import command, shrinking
from perminute_local.simulation.command import command_of, faults_named, items_named
from perminute_local.simulation.faults import ALL_FAULTS, Fault
from perminute_local.simulation.world import Over, World

if TYPE_CHECKING:
    from _pytest.capture import CaptureFixture


def test_a_world_that_holds(capsys: CaptureFixture[str]) -> None:
    assert main(["simulate", "--seed", "4", "--events", "30"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("seed 4: ")
    assert " items, " in first
    assert second.startswith("every promise held; history ")


def test_many_worlds_are_summed_up(capsys: CaptureFixture[str]) -> None:
    assert main(["simulate", "--seeds", "3", "--events", "30"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("3 worlds, ")
    assert line.endswith(": every promise held")


def test_without_a_terminal_lines_say_how_many_worlds_have_ended(
    capsys: CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_WORLDS_PER_LINE", 2)
    assert main(["simulate", "--seeds", "3", "--events", "1", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "2 of 3 worlds: every promise held\n"
    assert [world["seed"] for world in json.loads(captured.out)["worlds"]] == [0, 1, 2]


def test_a_world_that_breaks_is_told_with_the_shortest_history_found(
    capsys: CaptureFixture[str],
) -> None:
    with rearmed_on_every_call():
        assert main(["simulate", "--seed", "3", "--events", "40", "--json"]) == 1
        (world,) = json.loads(capsys.readouterr().out)["worlds"]
        shortest = world["shortest"]
        assert world["broken"]["promise"] == shortest["broken"]["promise"]
        assert shortest["items"] < 15 < world["items"]
        assert shortest["lines"]
        _, *again = shlex.split(shortest["command"])
        assert main([*again, "--json", "--history"]) == 1
        (repeated,) = json.loads(capsys.readouterr().out)["worlds"]
    assert repeated["history"] == shortest["history"]
    assert repeated["lines"] == shortest["lines"]


def test_a_world_that_breaks_is_told_to_people(
    capsys: CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrinking, "MOST_RUNS", 5)  # how short it becomes is seen above
    with rearmed_on_every_call():
        assert main(["simulate", "--seed", "3", "--events", "40"]) == 1
    printed = capsys.readouterr().out
    assert "broken: one id for each crossing\n" in printed
    assert "again:  perminute simulate --seed 3 --events 40\n" in printed
    assert "the shortest history found, " in printed


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--faults", "rain"], "--faults must be all, none, or some of clock, conflict, cut, "),
        (["--items", "1-x"], "--items must be numbers of items and ranges of them, such as 0-5,17"),
        (["--items", "900"], "--items 900: the plan of this seed has the items 0-"),
    ],
)
def test_a_wrong_call_is_explained(
    arguments: list[str], complaint: str, capsys: CaptureFixture[str]
) -> None:
    assert main(["simulate", "--events", "30", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"perminute: {complaint}")


def test_what_is_named_is_read() -> None:
    assert faults_named("all") == ALL_FAULTS
    assert faults_named("none") == frozenset()
    assert faults_named("kill,timeout-after") == {Fault.KILL, Fault.TIMEOUT_AFTER}
    assert items_named("0-2,5,7-8") == (0, 1, 2, 5, 7, 8)


def test_the_command_says_all_that_makes_the_world() -> None:
    world = World(
        seed=7,
        events=20,
        faults=frozenset({Fault.KILL, Fault.CUT}),
        over=Over.MOTO,
        items=(0, 1, 2, 5),
    )
    assert command_of(world) == (
        "perminute simulate --seed 7 --events 20 --faults cut,kill --over moto --items 0-2,5"
    )
    assert command_of(World(seed=7)) == "perminute simulate --seed 7 --events 300"
    assert "--faults none" in command_of(World(seed=7, faults=frozenset()))
