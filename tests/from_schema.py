"""Values that a JSON Schema allows, and values that it nearly allows, for tests of what is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NUMBERS = (
    "+493023125042",
    "+18005550199",
    "+49151234****",
    "+1206555*****",
    "104",
    "",
    "+6834321\n",
)
NO_TEXTS: tuple[Any, ...] = (
    *(None, True, 0, 493023125042, 61.5, 1e300),
    *([], ["+493023125042"], {}, {"number": None}),
)
ODD_TIMES = (
    "2016-12-31T23:59:60Z",
    "2026-02-29T00:00:00Z",
    "2024-02-29T00:00:00Z",
    "2026-11-02T24:00:00Z",
    "2026-11-02T12:00:00",
    "2026-11-02T12:00:00+24:00",
    "2026-11-02T12:00:00Z\n",
    "2026-11-02 12:00:00Z",
    "2026-11-02T12:00:00.Z",
    "2026-11-02T12:00Z",
    "2026-11-02",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00+00:01",
    "9990-12-31T23:59:59.999Z",
    "9990-12-31T23:59:59-00:01",
    "9991-01-01T00:00:00Z",
    "9999-12-31T23:59:59-00:01",
    "٢٠٢٦-11-02T12:00:00Z",
)
_OFFSETS = ("Z", "z", "+00:00", "-00:00", "+05:30", "-23:59", "+23:59")
_NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def _written(minutes: int, digits: str, t: str, offset: str) -> str:
    """A time of a day, in one of the ways that RFC 3339 allows."""
    whole = format_instant(_NOON + timedelta(minutes=minutes)).removesuffix("Z").replace("T", t)
    return f"{whole}.{digits}{offset}" if digits else f"{whole}{offset}"


times = st.sampled_from(ODD_TIMES) | st.builds(
    _written,
    st.sampled_from([-1_500, -1_440, -10, -1, 0, 0, 1, 5, 6]),
    st.text("0123456789", max_size=9),
    st.sampled_from("Tt"),
    st.sampled_from(_OFFSETS[:3]) | st.sampled_from(_OFFSETS),
)

near_misses: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, 0, 0.0, -0.0, 1, 61.0, 61.5, -1, 86_400, 86_401, 2**63, 1e300),
        *("", " ", "adele ", "\u00a0adele", "x" * 250, "x" * 251, "é" * 250, "😀" * 251, "a\nb"),
        *("61", "0.026", "-0.026", "-0", "0.0000001", "1e3", "+1", "1000000000000000.1", "٣"),
        *("usd", "USD", "UDS", "EUR ", "de", "DE", "UK", "ZZ", "1", "2"),
        *("spe_e5", "\u017fPE_E5", "SPE_E5\n", "tag:DialoutCPCDomesticPSTNDisabled", "tag:none"),
        *("3E26EE1F-8A5F-4D52-AEE2-B81CE45C8F40", "PERUSER", "zonea"),
        *([], {}, [[]], ["1"], ["1"] * 21, ["-1"], {"enabled": True}, {"enabled": False}),
        *("adele\n", "0.026\n", "-5\n", "USD\n", "MCOMEETADV\n", "2026-11-02T09:00:00Z\n"),
        *NUMBERS,
        *NO_TEXTS,
        *ODD_TIMES,
    ]
)


@dataclass(frozen=True)
class Values:
    """Makes values of the parts of a schema: allowed ones, but for `if`, `oneOf` and formats."""

    definitions: Mapping[str, dict[str, Any]]

    def of(self, part: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        match part:
            case {"$ref": str(reference)}:
                return self.of(self.definitions[reference.rpartition("/")[2]])
            case {"anyOf": parts}:
                return st.one_of(*map(self.of, parts))
            case {"enum": several}:
                return st.sampled_from(several)
            case {"const": only}:
                return st.just(only)
            case {"type": str()}:
                return self._of_type(part)
            case _:
                # Only numbers that set no price may be anything.
                return st.sampled_from((*NUMBERS, *NO_TEXTS))

    def _of_type(self, part: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        match part["type"]:
            case "object":
                fields = {name: self.of(field) for name, field in part["properties"].items()}
                required = {name: fields.pop(name) for name in part.get("required", ())}
                return st.fixed_dictionaries(required, optional=fields)
            case "array":
                least = part.get("minItems", 0)
                return st.lists(self.of(part["items"]), min_size=least, max_size=least or 3)
            case "integer":
                whole = st.integers(part["minimum"], part["maximum"])
                return whole | whole.map(float)
            case "string":
                return _texts(part)
            case "boolean":
                return st.booleans()
            case "null":
                return st.none()
            case other:
                msg = f"what are values of type {other}?"
                raise ValueError(msg)


def _texts(part: Mapping[str, Any]) -> st.SearchStrategy[str]:
    match part:
        case {"title": "time"}:
            return times
        case {"pattern": pattern}:
            # Not `fullmatch`: what Python's `$` allows, a line's end after it, is made as well.
            return st.from_regex(pattern)
        case {"maxLength": most}:
            return st.text(min_size=part.get("minLength", 0), max_size=most)
        case other:
            msg = f"what are texts of {other}?"
            raise ValueError(msg)


@st.composite
def with_something_else(
    draw: st.DrawFn, sample: dict[str, Any], names: Sequence[str], others: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """A document in which one to three fields are gone, or are what they are in others, or odd."""
    document: dict[str, Any] = json.loads(json.dumps(sample))
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(names))
        if draw(st.integers(0, 4)) == 0:
            document.pop(name, None)
        else:
            elsewhere = [other[name] for other in others if name in other]
            document[name] = draw(near_misses | times | st.sampled_from([*elsewhere, None]))
    return document
