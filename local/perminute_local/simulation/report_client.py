"""Whoever looks at reports: the requests, page by page, and what must hold of the answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from perminute.api.reports.endpoint import endpoint_of
from perminute.api.reports.parameters import MAX_DAYS
from perminute.domain.values.times import format_instant
from perminute_local.replay.links import http_event
from perminute_local.simulation.faults import Fault, rng_of
from perminute_local.simulation.invariants import reports as promises
from perminute_local.simulation.invariants.reports import Report
from perminute_local.simulation.plan import ReportRequested

if TYPE_CHECKING:
    from random import Random

    from perminute.api.http import Endpoint
    from perminute.api.reports.documents import ReportDocument
    from perminute_local.replay.lambda_runtime import LoadedFunction
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.scheduler import Functions, Scheduler
    from perminute_local.simulation.write_recorder import WriteRecorder

_FUNCTION = "ReadReportsFunction"
_OK, _UNAVAILABLE = 200, 503
_LISTED = {"calls": "calls", "ledger": "entries"}
"""Reports that have pages, and what they list."""
_MAX_FAILURES = 5
"""Failures in a row after which a reader no longer tries."""
_MINUTE = timedelta(minutes=1)
_TURNS_OVER_WITHIN = timedelta(hours=30)
"""The longest that a reader takes for a page: it may be the next day."""

Document = dict[str, Any]


@dataclass
class _Reading:
    """A report of which some pages were answered."""

    requested: ReportRequested
    label: str
    pages: list[Document] = field(default_factory=list)
    requests: int = 0
    failures: int = 0
    """Of the page that is next."""

    @property
    def key(self) -> str:
        """Where the answers of its pages contain the cursor of the next one."""
        return _LISTED[self.requested.name]

    def whole(self) -> Report:
        """Return all pages as one."""
        requested, answer = self.requested, dict(self.pages[0])
        if requested.name in _LISTED:
            answer[self.key] = [row for page in self.pages for row in page[self.key]]
        return Report(requested.organization_id, requested.name, requested.parameters, answer)


@dataclass
class ReportClient:
    """Requests reports, and checks each answer."""

    scheduler: Scheduler
    functions: Functions
    recorder: WriteRecorder
    _tags: dict[str, str] = field(default_factory=dict)
    """Answers by their ETags, without the time of the request, and the other way around."""

    def request(self, requested: ReportRequested, label: str) -> None:
        """Request a report, and check it once all its pages are answered."""
        self._read_on(_Reading(requested, label))

    def request_last(self) -> Broken | None:
        """Request the first month of each organization as stated; usage where calls may move.

        Return what is broken first, if anything is.
        """
        for name, first_end in self.recorder.posted.first_ends():
            month = {"month": f"{first_end:%Y-%m}", "basis": "stated"}
            self.request(ReportRequested(name, "statement", month), f"first month of {name}")
        until = format_instant(self.scheduler.now)
        since = format_instant(self.scheduler.now - timedelta(days=MAX_DAYS))
        period = {"from": since, "to": until, "groupBy": "outcome"}
        # What a bridge has reported may be listed again by its `Call Ended`.
        for name in sorted({organization_id for organization_id, _ in self.recorder.reports}):
            self.request(ReportRequested(name, "usage", period), f"last usage of {name}")
        return next(iter(self.recorder.broken), None)

    def _read_on(self, reading: _Reading) -> None:
        requested, recorder = reading.requested, self.recorder
        rng = rng_of(self.scheduler.seed, "report", reading.label, reading.requests)
        reading.requests += 1
        before = recorder.accounts.get(requested.organization_id)
        page = self._page(reading, rng)
        if page is None:
            self._try_again(reading, rng)
            return
        version = page["asOf"]["version"]
        if reading.pages:
            first = reading.pages[0]["asOf"]["version"]
            if version != first:
                why = f"{requested} is as of {first}, and its page {reading.requests} of {version}"
                recorder.broken += promises.has_pages_of_one_version(why)
        elif before is not None and version < before.version:
            why = f"{requested} is as of {version}, although {before.version} was posted"
            recorder.broken += promises.is_as_new_as_its_request(why)
        reading.pages.append(page)
        if page.get("next") is None:
            report = reading.whole()
            recorder.broken += promises.true_at_its_version(report, recorder.posted)
            self.scheduler.log(f"report {reading.label} as of {report.version}")
        else:
            reading.failures = 0
            self._later(reading, rng.random() ** 4 * _TURNS_OVER_WITHIN)

    def _try_again(self, reading: _Reading, rng: Random) -> None:
        reading.failures += 1
        if reading.failures < _MAX_FAILURES:
            self._later(reading, rng.random() * _MINUTE)

    def _later(self, reading: _Reading, after: timedelta) -> None:
        name = f"report {reading.label} {reading.requests}"
        self.scheduler.add(self.scheduler.now + after, name, partial(self._read_on, reading))

    def _page(self, reading: _Reading, rng: Random) -> Document | None:
        """Request the next page; return None if there is no answer."""
        requested = reading.requested
        query = dict(requested.parameters)
        if reading.pages:
            query["cursor"] = reading.pages[-1]["next"]
        path = {"organizationId": requested.organization_id, "report": requested.name}
        event = http_event(_endpoint(requested.name), path, query, self.scheduler.now)

        def invoke(loaded: LoadedFunction) -> Any:  # noqa: ANN401 - whatever JSON can say
            with self.scheduler.injector.before_each_request(self._let_others_write):
                return loaded.call(event)

        response = self.functions.run(_FUNCTION, rng, invoke)
        if response is None or response["statusCode"] == _UNAVAILABLE:
            return None
        document: Document = json.loads(response["body"])
        if response["statusCode"] != _OK:
            why = f"{requested} was answered {document['message']}"
            self.recorder.broken += promises.right_is_answered(why)
            return None
        self._check_tag(response["headers"]["etag"], document)
        return document

    def _let_others_write(self) -> None:
        """Let others overtake at each request, wherever functions overtake each other."""
        injector = self.scheduler.injector
        if injector.is_active and injector.rates.rate(Fault.OVERTAKE):
            injector.happened[Fault.OVERTAKE] += injector.overtake()

    def _check_tag(self, tag: str, document: Document) -> None:
        timeless = json.dumps({**document, "asOf": document["asOf"]["version"]})
        known = self._tags.setdefault(tag, timeless), self._tags.setdefault(timeless, tag)
        if known != (timeless, tag):
            why = f"{tag} is the tag of {timeless}, and {known}"
            self.recorder.broken += promises.same_tag_same_answer(why)


def _endpoint(name: str) -> Endpoint[ReportDocument]:
    endpoint = endpoint_of(name)
    if endpoint is None:
        msg = f"there is no report {name}"
        raise LookupError(msg)
    return endpoint
