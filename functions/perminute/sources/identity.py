"""Which calls were read before: the same call again is a duplicate, another one a conflict."""

from __future__ import annotations

from perminute.sources.outcomes import Leg, Problem, ProblemReason, Result, Skip, SkipReason


class ReadCalls:
    """The calls read so far; the first leg of a call stands."""

    def __init__(self) -> None:
        # Of a leg only its hash, of 64 bits: an export may have millions of calls.
        self._legs: dict[str, int] = {}

    def check(self, result: Result) -> Result:
        """Return what became of a record; a leg of a call that was read before is none."""
        if not isinstance(result, Leg):
            return result
        # What was read is compared, not its text: "60" is 60, and GUIDs are in lower case.
        leg = hash(result)
        first = self._legs.setdefault(result.call_id, leg)
        if first is leg:
            return result
        if first == leg:
            return Skip(SkipReason.DUPLICATE)
        return Problem(
            ProblemReason.CONFLICT,
            "the call was read before, and differs: the first one stands; if this one is right, "
            "correct the charge by Credit Adjusted",
        )
