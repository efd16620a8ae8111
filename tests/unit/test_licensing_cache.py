from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builders import ORGANIZATION, entitled_changes, holds

from perminute.adapters.memory import InMemoryStore
from perminute.application import licensing_cache
from perminute.application.licensing_cache import LicensingCache
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import Timeline

if TYPE_CHECKING:
    from collections.abc import Collection

    import pytest

ADELE = Timeline(holds("payPerMinute", "communicationsCredits").facts)


@dataclass
class Watched(InMemoryStore):
    """A store that writes down what it is asked for."""

    asked: list[tuple[str, list[str]]] = field(default_factory=list)

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        self.asked.append((organization_id, sorted(user_ids)))
        return super().licensing(organization_id, user_ids)


def store() -> Watched:
    watched = Watched()
    for organization_id in (ORGANIZATION, "fabrikam"):
        watched.record(organization_id, entitled_changes(organization_id))
    return watched


def test_a_timeline_is_read_once_for_each_licensing_version() -> None:
    watched = store()
    remembered = LicensingCache(watched)
    account = watched.account(ORGANIZATION)
    for users in (["adele"], ["adele", "alex"], ["alex"]):
        licensing = remembered.for_account(account, users)
    assert licensing.users["adele"] == ADELE
    assert watched.asked == [(ORGANIZATION, ["adele"]), (ORGANIZATION, ["alex"])]
    moved_on = account._replace(version=9, balance_micros=5)
    assert remembered.for_account(moved_on, ["adele"]).users["adele"] == ADELE
    assert len(watched.asked) == 2
    relicensed = account._replace(licensing_version=account.licensing_version + 1)
    remembered.for_account(relicensed, ["adele"])
    assert watched.asked[2:] == [(ORGANIZATION, ["adele"])]


def test_organizations_do_not_share_what_is_remembered() -> None:
    watched = store()
    remembered = LicensingCache(watched)
    remembered.for_account(watched.account(ORGANIZATION), ["adele"])
    remembered.for_account(watched.account("fabrikam"), ["adele"])
    assert [organization_id for organization_id, _ in watched.asked] == [ORGANIZATION, "fabrikam"]


def test_beyond_the_limit_it_starts_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licensing_cache, "MAX_TIMELINES", 2)
    watched = store()
    remembered = LicensingCache(watched)
    account = watched.account(ORGANIZATION)
    for users in (["a", "b"], ["a", "b"], ["c"], ["c"]):
        remembered.for_account(account, users)
    assert [users for _, users in watched.asked] == [["a", "b"], ["c"]]
    remembered.for_account(watched.account("fabrikam"), ["d", "e"])
    remembered.for_account(account, ["a"])
    assert watched.asked[-1] == (ORGANIZATION, ["a"])


class ChangedByOne(dict[str, tuple[int, Licensing]]):
    """A mapping that takes its time, in which nobody else may change it."""

    def __init__(self) -> None:
        self.changing = 0

    def __setitem__(self, organization_id: str, known: tuple[int, Licensing]) -> None:
        self.changing += 1
        time.sleep(0.002)
        super().__setitem__(organization_id, known)
        assert self.changing == 1
        self.changing -= 1


def test_threads_that_share_it_change_what_is_remembered_one_after_the_other() -> None:
    watched, changed = store(), ChangedByOne()
    remembered = LicensingCache(watched, changed)
    account = watched.account(ORGANIZATION)
    accounts = [account._replace(organization_id=f"organization-{n}") for n in range(16)]
    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(lambda one: remembered.for_account(one, ["adele"]), accounts))
    assert [remembered.for_account(one, ["adele"]) for one in accounts] == read
    assert len(watched.asked) == len(accounts)
