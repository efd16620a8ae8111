from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builders import ORGANIZATION, entitled_changes, holds

from perminute.adapters.memory import InMemoryStore
from perminute.application import licensing_cache
from perminute.application.licensing_cache import LicensingCache
from perminute.domain.licensing.timelines import Timeline

if TYPE_CHECKING:
    from collections.abc import Collection

    import pytest

    from perminute.domain.licensing.licensing import Licensing

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
