"""Where an event comes in: JSON becomes a checked model, or a refusal by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from aws_lambda_powertools.utilities.parser import ValidationError, parse

from perminute.arrivals import MAX_AHEAD
from perminute.domain.errors import Refused
from perminute.domain.values.lenient_json import NO_TEXT, read_leniently
from perminute.events.clocks import check_has_happened
from perminute.events.fields import Event

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

    from perminute.arrivals import Arrival

_E = TypeVar("_E", bound=Event)


def read_event(body: str, source: TypeAdapter[_E], arrival: Arrival | None = None) -> _E:
    """Parse the JSON of one event; `Refused` names every field that is missing or impossible.

    So is a time that lies too far after the event's arrival, and an instant of what has happened
    that lies too far after the event's time.
    """
    try:
        event = _parsed(body, source)
    except ValidationError as error:
        faults = [_fault(fault) for fault in error.errors(include_url=False)]
        (field, message), *more = faults
        others = "".join(f"; {name}: {what}" for name, what in more)
        raise Refused(field, message + others) from None
    if arrival is not None and event.time > arrival.latest:
        raise Refused(
            "time",
            f"lies more than {MAX_AHEAD.days} day after the event arrived; set the sender's clock "
            "right and send it again",
        )
    check_has_happened(event)
    return event


def _parsed(body: str, source: TypeAdapter[_E]) -> _E:
    """Parse at once; what pydantic takes for no JSON is read again, leniently.

    Half of a surrogate pair in a field that is ignored refuses no event.
    """
    try:
        # Powertools takes JSON text and adapters as well; its annotations know neither.
        event: _E = parse(event=body, model=source)  # type: ignore[call-overload]
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid":
            raise
        try:
            sent = read_leniently(body)
        except (ValueError, RecursionError):
            raise error from None
        return source.validate_python(sent)
    return event


def _fault(fault: ErrorDetails) -> tuple[str, str]:
    if fault["type"] == "union_tag_not_found":
        return "detail-type", "is required"
    if fault["type"] == "union_tag_invalid":
        return "detail-type", f"must be one of {fault['ctx']['expected_tags']}"
    if fault["type"] == "json_invalid":
        return "event", f"is not JSON: {fault['ctx']['error']}"
    # In a union pydantic puts the detail-type in front; no field of an event has a space.
    path = [str(part) for part in fault["loc"] if " " not in str(part)]
    # The use cases name fields of a detail without it, and so does the charging API.
    if path[:1] == ["detail"] and len(path) > 1:
        path = path[1:]
    return ".".join(path) or "event", _message(fault)


def _message(fault: ErrorDetails) -> str:
    """Say what is wrong; of the input itself only whether there is one, never what it is."""
    match fault["type"]:
        case "missing":
            return "is required"
        case kind if kind.endswith("_type") and fault["input"] is None:
            return "must not be null"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a JSON object"
        case "string_unicode":
            return NO_TEXT
        case "too_long":
            return f"must have at most {fault['ctx']['max_length']} items"
        case _:
            message = fault["msg"].removeprefix("Value error, ")
            return message.replace("Input should be", "must be").replace("String should", "must")
