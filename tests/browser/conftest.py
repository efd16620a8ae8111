"""The console of some weeks of calls, in Debian's Chromium; skipped where there is none.

These tests run in an environment of their own (`make browser`), which has a browser's driver and
nothing of perminute: the command is started as a user starts it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
expect.set_options(timeout=30_000)
WEEKDAYS = [day for day in range(1, 20) if day % 7 not in {5, 6}]
"""Days after Monday, the day of the demo, on which its calls are repeated."""
NASTY = "<img src=x onerror=alert(1)>"
"""An organizer whose name would be a picture, if the page read it as HTML."""


def _later(text: str, days: int) -> str:
    at = datetime.fromisoformat(text) + timedelta(days=days)
    return at.isoformat().replace("+00:00", "Z")


def _repeated(event: dict[str, Any], days: int) -> dict[str, Any]:
    detail = event["detail"]
    times = {name: _later(detail[name], days) for name in ("answeredAt", "endedAt")}
    changed = {**detail, **times, "callId": f"{detail['callId']}-{days}"}
    named = {"id": f"{event['id']}-{days}", "time": _later(event["time"], days)}
    return {**event, **named, "detail": changed}


def _bought(purchase: str, amount: str, purchased_at: str, time: str) -> dict[str, Any]:
    detail = {"schemaVersion": "1", "organizationId": "contoso", "purchaseId": purchase}
    detail |= {"amount": amount, "currency": "USD", "purchasedAt": purchased_at}
    envelope = {"id": purchase, "source": "perminute.billing", "detail-type": "Credit Purchased"}
    return {**envelope, "time": time, "detail": detail}


def _renamed(event: dict[str, Any]) -> dict[str, Any]:
    detail = {**event["detail"], "organizerId": NASTY, "callId": "call of & <b>"}
    return {**event, "id": f"{event['id']}-nasty", "detail": detail}


def _weeks() -> Iterator[dict[str, Any]]:
    lines = (ROOT / "examples" / "day" / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    yield from (event for event in events if "request" not in event)
    calls = [event for event in events if event.get("detail-type") == "Call Ended"]
    calls = [one for one in calls if one["detail"].get("answeredAt")]
    calls = [one for one in calls if one["detail"]["organizationId"] == "contoso"]
    yield _bought("po-more", "300.00", "2026-11-02T20:00:00Z", "2026-11-02T20:00:00Z")
    yield _bought("po-last-year", "1240.00", "2025-12-04T09:00:00Z", "2026-11-02T20:00:01Z")
    yield _renamed(next(one for one in calls if one["detail"]["legType"] == "dialOut"))
    for days in WEEKDAYS:
        # Not the same each day: a half, a third or a quarter of the calls.
        yield from (_repeated(call, days) for call in calls[:: 2 + days % 3])


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("weeks")
    events = sorted(_weeks(), key=lambda event: event["time"])
    (folder / "events.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in events))
    (folder / "rates.csv").write_bytes((ROOT / "examples" / "day" / "rates.csv").read_bytes())
    command = [str(ROOT / ".venv/bin/perminute"), "console", str(folder), "--no-open"]
    for name in ("contoso", "nobody", "fabrikam"):
        command += ["--organization", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        printed = process.stdout.readline().strip()
        assert printed, "the console has ended; its reason is above"
        yield printed
        process.terminate()
        assert process.wait(30) == 0, "it must end its emulator before it ends"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium: `apt-get install chromium`")
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Open the page; after the test it must have had neither an error nor a violation."""
    said: list[str] = []
    contexts = []

    def opened(
        prepare: Callable[[Page], None] | None = None, fragment: str = "", **options: Any
    ) -> Page:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "console",
            lambda line: said.append(line.text) if "Failed to load" not in line.text else None,
        )
        if prepare is not None:
            prepare(page)
        page.goto(address + fragment)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
