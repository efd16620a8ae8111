"""Which messages a function could not process, and when each of them is delivered again."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from perminute import sqs
from perminute.domain.errors import Contended, Unavailable
from perminute_local.simulation.invariants.invariant import promise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.application.results import Result
    from perminute.application.retry import Deadline
    from perminute.ports.messaging import Redeliveries
    from perminute_local.replay.lambda_runtime import SQSMessage
    from perminute_local.simulation.invariants.invariant import Broken

VISIBILITY_TIMEOUT = timedelta(seconds=200)
"""How long a message that failed is hidden, unless its function changes that (template.yaml)."""

_contended_come_soon = promise("a contended message comes back within min(200, 2^receives) s")
_others_wait = promise("a message that failed otherwise waits for its visibility timeout")


@dataclass
class Seen:
    """What was seen of one invocation."""

    contended: int = 0
    """Events for which other writers were in the way; a message has one or several."""
    failed_otherwise: bool = False
    """Whether an event failed for another reason, perhaps one of the same message."""
    is_answered: bool = True
    """Whether SQS has answered that it hides them."""


@dataclass
class RecordedRedeliveries:
    """The messages that are to be delivered again at another time than their queue says."""

    seconds: dict[str, int] = field(default_factory=dict)
    """By their receipts, which are their ids here."""
    _seen: list[Seen] = field(default_factory=list)
    """Of the invocations under way, each of which overtakes the one before."""

    def schedule(self, seconds: Mapping[str, int]) -> None:
        """Record when messages are delivered again."""
        self.seconds |= seconds

    def hidden(self, message: SQSMessage) -> timedelta:
        """Return how long a message that failed is hidden."""
        seconds = self.seconds.pop(message.id, None)
        return VISIBILITY_TIMEOUT if seconds is None else timedelta(seconds=seconds)

    @contextmanager
    def invocation(self) -> Iterator[Seen]:
        """Return what is seen of an invocation when it has ended."""
        seen = Seen()
        self._seen.append(seen)
        try:
            yield seen
        finally:
            self._seen.pop()

    def broken(self, failed: Sequence[SQSMessage], seen: Seen) -> Iterator[Broken]:
        """Check when the messages of an invocation come again, if SQS has answered."""
        if not seen.is_answered:
            return
        scheduled = {one.id: self.seconds[one.id] for one in failed if one.id in self.seconds}
        receives = {one.id: one.receive_count for one in failed}
        are_late = any(not 0 < s <= min(200, 2 ** receives[name]) for name, s in scheduled.items())
        if are_late or (seen.contended and not scheduled and not seen.failed_otherwise):
            yield from _contended_come_soon(f"{seen.contended} were contended: {scheduled}")
        elif len(scheduled) > seen.contended:
            yield from _others_wait(f"only {seen.contended} were contended: {scheduled}")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See the results of all functions that are loaded meanwhile, and what SQS answers them."""
        original = sqs.sqs_handler

        def handler(**parts: Any) -> Any:  # noqa: ANN401 - those of any handler
            if "redeliveries" not in parts:  # of a daily run
                return original(**parts)
            use_case, redeliveries = parts["use_case"], parts["redeliveries"]

            def watched(messages: Sequence[Any], deadline: Deadline) -> Sequence[Result[Any]]:
                results: Sequence[Result[Any]] = use_case(messages, deadline)
                seen = self._seen[-1]
                failed = [result for result in results if isinstance(result, Unavailable)]
                seen.contended = sum(isinstance(result, Contended) for result in failed)
                seen.failed_otherwise = seen.contended < len(failed)
                return results

            answers = _Answers(redeliveries, self)
            return original(**{**parts, "use_case": watched, "redeliveries": answers})

        # Not by chance: one world has one history. So contended messages are hidden for longest.
        with patch.multiple(sqs, sqs_handler=handler, _jitter=lambda: 0.0):
            yield

    def unanswered(self) -> None:
        """Record that SQS has not answered, so that nothing is promised."""
        self._seen[-1].is_answered = False


@dataclass
class _Answers:
    redeliveries: Redeliveries
    recorded: RecordedRedeliveries

    def schedule(self, seconds: Mapping[str, int]) -> None:
        try:
            self.redeliveries.schedule(seconds)
        except Unavailable:
            self.recorded.unanswered()
            raise
