"""Opens the page in Chromium, in the environment of `make browser`; prints the best times in ms."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FIRST, ALL = ".card .figure", "#content[aria-busy='false']"
TIMEOUT_MILLISECONDS = 300_000


def _times(browser: Browser, address: str) -> list[float]:
    page = browser.new_page()
    page.goto(address, wait_until="commit")
    found = []
    for shown in (FIRST, ALL):
        page.locator(shown).first.wait_for(timeout=TIMEOUT_MILLISECONDS)
        found.append(page.evaluate("performance.now()"))
    page.close()
    return found


def main() -> None:
    """Print the best of some rounds, of each time by itself."""
    chromium, address, rounds = sys.argv[1:]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        times = [_times(browser, address) for _ in range(int(rounds))]
        browser.close()
    json.dump([min(kind) for kind in zip(*times, strict=True)], sys.stdout)


if __name__ == "__main__":
    main()
