"""Reports of a folder of events: they are replayed, and the functions then answer."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from perminute_local.replay.command import remarks, replayed
from perminute_local.replay.plan import Delivery, Disturbance
from perminute_local.replay.run import BooksNotRead, read_plan
from perminute_local.reports.source import checked
from perminute_local.terminal import remark
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from perminute_local.replay.links import InProcess
    from perminute_local.reports.source import Answer, Question


class FolderReports:
    """The function of a replay, asked when everything has happened."""

    def __init__(self, links: InProcess, organizations: Iterable[str] = ()) -> None:
        self._links = links
        self.organizations = tuple(organizations)

    def ask(self, question: Question) -> Answer:
        """Ask as a replayed request does."""
        return checked(self.answer(question), question)

    def answer(self, question: Question) -> Answer:
        """Return what the function answers, be it an error."""
        stated = {name: one for name, one in question.parameters.items() if one is not None}
        request = Delivery(
            event_id="",
            source="",
            kind="request",
            body=json.dumps({**stated, "organizationId": question.organization_id}),
            at=self._links.clock.now,
            request=question.report,
        )
        return self._links.response(request).answer


@contextmanager
def replayed_reports(folder: Path) -> Iterator[FolderReports]:
    """Replay a folder, and answer for as long as the context lasts.

    Raises `WrongFile` if it is faulty, has no event or cannot be read, and what `replayed` raises.
    """
    plan = read_plan(folder, batch_size=None, disturbance=Disturbance())
    try:
        with replayed(plan, hide_progress=True) as (results, links):
            if links.clock.now is None:
                msg = f"{folder}: has no event, so there is nothing to report"
                raise WrongFile(msg)
            for line in remarks(results):
                remark(f"perminute: {line}")
            yield FolderReports(links, [account.organization_id for account in results.accounts])
    except BooksNotRead as error:
        msg = f"{folder}: {error}"
        raise WrongFile(msg) from error
