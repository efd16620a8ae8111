"""docs/retention.md and docs/restoring.md work: what they say is run on a stack of this machine."""

from __future__ import annotations

import json
import re
import shutil
import time
import zlib
from typing import TYPE_CHECKING

import boto3
import pytest
from page_commands import commands_of, run, without_an_account

from perminute_local.deployment import resources_of
from perminute_local.embedded_aws import environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALL, OF_THE_DRILL = (f"b6c1a0f{n}-7a3e-4a5f-8f0a-1f6a0c7b9d21" for n in (4, 6))
NUMBER, ORGANIZER = "493023125042", "adele"
"""Of the samples' calls."""
ERASED_OF = "fabrikam"
"""An organization that no other test has: what is published of it is recent for two days."""
RUNBOOK = commands_of("runbook.md")[0].replace("STACK=perminute-prod\n", "")
FUNCTIONS, STOP, COPY, WRITE_BACK, AGREE, START, REPLAY, END, *DRILL = commands_of("restoring.md")
SAMPLES, MORE, SAID, KEEP, COMPARE = DRILL
SHELL = f"{RUNBOOK}\n{FUNCTIONS}\n{SAID}\n"
SETTLED_SECONDS = 60


@pytest.fixture(scope="module")
def ours(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    assert artifact.exists()
    variables = without_an_account(tmp_path_factory.mktemp("operator"))
    try:
        served = json.loads(run("perminute up --json", variables))
        yield {**variables, **served["environment"]}
    finally:
        run("perminute down", variables)


@pytest.fixture
def aws(ours: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same environment in this process, too."""
    with environment(**{name: value for name, value in ours.items() if name.startswith("AWS_")}):
        yield ours


def until(command: str, shows: str = "") -> str:
    """Wait for what is processed a moment later."""
    return f"until {command} | grep -e '{shows}' > /dev/null; do sleep 1; done"


def explained(call: str) -> str:
    return f"perminute explain {call} --organization contoso --stack local"


@pytest.mark.skipif(shutil.which("aws") is None, reason="the page needs Amazon's command line")
def test_a_restore_and_a_replay_bring_back_what_was_lost(aws: dict[str, str]) -> None:
    charged = [until(explained(call), "Charged") for call in (CALL, OF_THE_DRILL)]
    balance = "perminute balance --organization contoso --stack local"
    effective = [charged[1], until(balance, "drill-"), until(balance, "of 5,750 minutes")]
    run(SHELL + "\n".join([SAMPLES, charged[0], COPY, MORE, *effective, KEEP]), aws)
    lost = run(SHELL + STOP + WRITE_BACK + AGREE, aws)
    # The call, the purchase and the statement, with what follows of them.
    for table in ("credit", "usage", "licensing"):
        assert restored_in(lost, table) > 0, table
    assert "no difference" in lost
    same = f"until {COMPARE.strip()}; do sleep 1; done\n"
    after = run(SHELL + START + REPLAY + same + END, aws)
    assert "COMPLETED" in after
    assert "no difference" in after
    assert "FAIL" not in after
    assert not [name for name in tables() if name.endswith("-copy")]


def restored_in(text: str, table: str) -> int:
    """How many items of a table were put or deleted."""
    (line,) = (line for line in text.splitlines() if line.startswith(table))
    return sum(map(int, re.findall(r"\d+", line)))


def test_what_is_erased_is_nowhere_and_its_call_a_duplicate(aws: dict[str, str]) -> None:
    masking, archived, commands = commands_of("retention.md")
    erasing, send, again = commands.rpartition("samples | perminute send")
    shown = run(f"{masking}\n{archived}\n{erasing}", aws)
    assert "to +49********** was made from a scheduled meeting of alex" in shown
    assert f'"remoteNumber": "+{NUMBER}"' in shown
    before = repeated(CALL)
    functions, _, _ = masking.partition("samples |")
    shown = run(f"{functions}\n{send}{again}", aws)
    assert "was made from a scheduled meeting of erased-" in shown
    # The samples report it twice: by itself, and among others.
    deadline = time.monotonic() + SETTLED_SECONDS
    while repeated(CALL) < before + 2:
        assert time.monotonic() < deadline
        time.sleep(1)
    assert "no difference" in run(
        f"perminute reconcile --organization {ERASED_OF} --stack local", aws
    )
    stored = stored_text(ERASED_OF)
    assert CALL in stored
    assert NUMBER not in stored
    assert ORGANIZER not in stored


def repeated(call_id: str) -> int:
    """How often a call was found to be charged already."""
    (log,) = (one.name for one in resources_of("local") if one.logical_id == "ChargeCallsLog")
    pages = (
        boto3.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=log, filterPattern='"batch settled"')
    )
    lines = [json.loads(one["message"]) for page in pages for one in page["events"]]
    events = [event for line in lines for event in line["events"]]
    return sum((one.get("callId"), one.get("result")) == (call_id, "repeated") for one in events)


def tables() -> list[str]:
    names: list[str] = boto3.client("dynamodb").list_tables()["TableNames"]
    return names


def stored_text(organization_id: str) -> str:
    """All that any table has of an organization, as text."""
    pages = boto3.client("dynamodb").get_paginator("scan").paginate
    items = [item for name in tables() for page in pages(TableName=name) for item in page["Items"]]
    texts = [json.dumps(item, default=readable) for item in items]
    return "\n".join(text for text in texts if organization_id in text)


def readable(value: bytes) -> str:
    try:
        return zlib.decompress(value).decode()
    except zlib.error:
        return repr(value)
