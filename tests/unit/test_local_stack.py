"""The stack of this machine: when it is up, what reaches it, and what is ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from perminute_local import doctor
from perminute_local.cli import main
from perminute_local.deployed.deploying import ToolError
from perminute_local.local_stack import commands, serving
from perminute_local.local_stack.driving import DailyRuns, Mappings, WaitingMapping
from perminute_local.local_stack.place import Place, Served, only_local, place_of_user, running
from perminute_local.replay.lambda_runtime import LambdaFunction, Scheduled
from perminute_local.stack import Function, Queue, ScheduleTrigger
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVED = Served(
    endpoint="http://127.0.0.1:4566",
    since="2026-11-02T09:00:00Z",
    rates="/rates.csv",
    directory=None,
    made={"functions": 11},
)
ORDER = serving.Order(template="template.yaml", rates=SERVED.rates, directory=None)
HOLD = """
import sys
from pathlib import Path
from perminute_local.local_stack.place import Place

with Place(Path(sys.argv[1])).held():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return place_of_user()


@contextmanager
def another_process(place: Place) -> Iterator[subprocess.Popen[str]]:
    """One that serves this place."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and statement
        [sys.executable, "-c", HOLD, str(place.lock_file.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def up(place: Place) -> None:
    place.make()
    place.serve(SERVED)


def test_it_is_up_as_long_as_its_process_lives_and_no_longer(place: Place) -> None:
    with pytest.raises(WrongCall, match="no stack is up on this machine; start one"):
        running(place)
    with another_process(place) as process:
        assert place.holder() == process.pid
        with pytest.raises(WrongCall, match="is being started"):
            running(place)
        up(place)
        assert running(place) == SERVED
        with pytest.raises(WrongCall, match="another `perminute up`"), place.held():
            pass
        process.kill()
        process.wait()
        assert place.holder() is None
        with pytest.raises(WrongCall, match=f"any more: it ended, see {place.log}"):
            running(place)


def test_a_process_that_has_its_number_by_chance_is_not_ended(place: Place) -> None:
    up(place)
    place.lock_file.write_text(str(os.getpid()))
    assert main(["down"]) == 0
    assert not place.folder.exists()


def test_down_ends_it_and_removes_what_it_has_left(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with another_process(place) as process:
        up(place)
        assert main(["down"]) == 0
        assert process.wait() != 0
    assert "nothing of it runs" in capsys.readouterr().out
    assert not place.folder.exists()
    assert main(["down", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"wasUp": False}


def test_a_second_up_says_that_it_is_up(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with another_process(place):
        up(place)
        assert main(["up", "--json"]) == 0
    shown = capsys.readouterr()
    assert "is up already, since 2026-11-02T09:00:00Z" in shown.err
    document = json.loads(shown.out)
    assert document["stack"] == "local"
    assert document["environment"] == {
        "AWS_ENDPOINT_URL": SERVED.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "embedded",
        "AWS_SECRET_ACCESS_KEY": "embedded",
    }


def test_up_with_another_folder_says_which_one_it_is_up_with(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with another_process(place):
        up(place)
        assert main(["up", str(Path(SERVED.rates).parent)]) == 0
        assert main(["up", str(tmp_path)]) == 2
    said = "the stack is up already, with "
    assert f"{said}{SERVED.rates}; run `perminute down` first\n" in capsys.readouterr().err


def test_up_tells_of_one_that_ended_by_itself_and_begins_another(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    up(place)
    place.log.write_text("what it said")
    monkeypatch.setattr(commands, "_build", lambda: None)
    monkeypatch.setattr(commands, "_begin", lambda place, _: up(place))
    monkeypatch.setenv("PATH", str(place.folder))
    monkeypatch.chdir(place.lock_file.parent)
    assert main(["up"]) == 0
    shown = capsys.readouterr()
    assert "ended without `perminute down`" in shown.err
    assert "The stack `local` is up at http://127.0.0.1:4566: 11 functions" in shown.out
    assert f"  {sys.prefix}/bin/perminute down\n" in shown.out
    assert not place.log.exists()


def test_up_names_what_is_wrong_before_anything_begins(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", str(tmp_path)]) == 2
    assert "has no rates.csv" in capsys.readouterr().err
    (tmp_path / "rates.csv").write_text("leg_type,prefix\n")
    assert main(["up", str(tmp_path)]) == 2
    assert "rates.csv" in capsys.readouterr().err
    assert not place.folder.exists()


def test_up_says_why_it_did_not_start(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_build", lambda: None)
    monkeypatch.setattr(commands, "SERVING", ("-c", "print('why'); print('no port is free')"))
    assert main(["up"]) == 2
    assert "the stack did not start: no port is free" in capsys.readouterr().err
    assert place.served() is None


def test_commands_about_local_reach_it_alone_and_others_do_not(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []

    def run_doctor(stack: str, *, as_json: bool) -> int:
        del as_json
        aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        seen.append({"stack": stack, **aws})
        return 0

    monkeypatch.setattr(doctor, "run_doctor", run_doctor)
    mine = {"AWS_PROFILE": "mine", "AWS_ENDPOINT_URL_DYNAMODB": "https://elsewhere.example.com"}
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    with another_process(place):
        up(place)
        for stack in ("local", "perminute-dev"):
            assert main(["doctor", "--stack", stack]) == 0
    local, deployed = seen
    assert local["AWS_ENDPOINT_URL"] == SERVED.endpoint
    assert not set(local) & set(mine)
    assert deployed.items() >= mine.items()
    assert deployed.get("AWS_ENDPOINT_URL") != SERVED.endpoint
    assert os.environ["AWS_PROFILE"] == "mine"


def test_without_one_a_command_about_local_does_not_run(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place.holder() is None
    monkeypatch.setattr(doctor, "run_doctor", lambda *_, **__: pytest.fail("it ran"))
    assert main(["doctor", "--stack", "local", "--json"]) == 2
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error"] == "emulator"
    assert "start one with `perminute up`" in shown.err


def test_no_setting_of_the_user_reaches_the_clients_of_the_local_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nignore_configured_endpoint_urls = true\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name, value in only_local(SERVED.endpoint).items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    client = boto3.Session().client("dynamodb")
    assert (client.meta.endpoint_url, client.meta.region_name) == (SERVED.endpoint, "us-east-1")


class Recording(LambdaFunction):
    """A function that fails the messages whose body says so."""

    def __init__(self, trigger: ScheduleTrigger | None = None) -> None:
        super().__init__(Function("F", "h", {}, 30, (trigger,) if trigger else ()))
        self.events: list[Any] = []

    def call(self, event: Any) -> dict[str, Any] | None:
        self.events.append(event)
        failed = [one for one in event.get("Records", ()) if one["body"] == "bad"]
        return {"batchItemFailures": [{"itemIdentifier": one["messageId"]} for one in failed]}


class Messages:
    """A queue whose messages come a few at a time."""

    def __init__(self, *arrivals: list[str]) -> None:
        self._arrivals = list(arrivals)
        self.deleted: list[str] = []
        self.waited: list[int] = []

    def receive_message(self, *, MaxNumberOfMessages: int, **asked: Any) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        self.waited.append(asked["WaitTimeSeconds"])
        some = self._arrivals.pop(0)
        assert len(some) <= MaxNumberOfMessages
        found = [
            {"MessageId": one, "ReceiptHandle": one, "Body": one, "Attributes": {}} for one in some
        ]
        return {"Messages": found} if found else {}

    def delete_message_batch(self, *, Entries: list[dict[str, str]], **_: Any) -> None:  # noqa: N803 - as boto3 has it
        self.deleted += [one["ReceiptHandle"] for one in Entries]


def test_a_batch_is_what_arrives_until_it_is_full() -> None:
    client: Any = Messages(["a", "b"], ["bad"], ["d"], ["late"])
    function = Recording()
    mapping = WaitingMapping(Queue("url", "arn", None, None), 4, function, client)
    assert mapping.poll() == 4
    (event,) = function.events
    assert [one["body"] for one in event["Records"]] == ["a", "b", "bad", "d"]
    assert client.deleted == ["a", "b", "d"]


def test_nothing_runs_while_nothing_arrives() -> None:
    client: Any = Messages([])
    function = Recording()
    assert WaitingMapping(Queue("url", "arn", None, None), 4, function, client).poll() == 0
    assert function.events == []
    assert client.waited == [3]


class Listed:
    """Lambda, with mappings in these states."""

    def __init__(self, states: dict[tuple[str, str], str]) -> None:
        self.states = states

    def get_paginator(self, name: str) -> Listed:
        assert name == "list_event_source_mappings"
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [
            {"EventSourceMappings": [mapping]}
            for mapping in (
                {
                    "EventSourceArn": source,
                    "FunctionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}:live",
                    "State": state,
                }
                for (source, name), state in self.states.items()
            )
        ]


def test_a_mapping_is_not_read_while_an_operator_has_disabled_it() -> None:
    lambda_: Any = Listed({("stream", "local-A"): "Disabling", ("stream", "local-B"): "Enabled"})
    mappings = Mappings(lambda_)
    mappings.look()
    assert not mappings.is_read("stream", "local-A")
    assert mappings.is_read("stream", "local-B")
    assert mappings.is_read("queue", "local-A")
    lambda_.states["stream", "local-A"] = "Enabled"
    mappings.look()
    assert mappings.is_read("stream", "local-A")


def test_what_a_tool_said_before_it_failed_is_in_the_log_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        msg = "sam deploy failed:\nUploading 1 / 9\nUploading 9 / 9\nno such type\n\n"
        raise ToolError(msg)

    monkeypatch.setattr(serving, "serve", fail)
    monkeypatch.setattr(sys, "argv", ["serving", str(tmp_path), json.dumps(ORDER._asdict())])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="1"):
        serving.main()
    *before, last = capsys.readouterr().err.splitlines()
    assert last.endswith("Z ToolError: no such type")
    assert "Uploading 9 / 9" in before


def test_a_daily_run_is_made_once_when_its_hour_has_come() -> None:
    trigger = ScheduleTrigger(
        hour=0, minute=5, input='{"time": "<aws.scheduler.scheduled-time>"}', attempts=3
    )
    function = Recording(trigger)
    runs = DailyRuns([Scheduled("F", trigger, function)], datetime(2026, 11, 2, 23, 0, tzinfo=UTC))
    for hour, minute in ((0, 4), (0, 5), (0, 6), (12, 0)):
        runs.run_until(datetime(2026, 11, 3, hour, minute, tzinfo=UTC))
    assert function.events == [{"time": "2026-11-03T00:05:00Z"}]
    # Nobody looked for days, such as while the machine slept.
    runs.run_until(datetime(2026, 11, 7, 12, tzinfo=UTC))
    assert [one["time"] for one in function.events[1:]] == ["2026-11-04T00:05:00Z"]
