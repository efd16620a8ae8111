"""Divide files of JSON into records, and write them: whole documents, or lines."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import DecodeError
from msgspec.json import Decoder

from perminute.sources.outcomes import damaged
from perminute.sources.stated_call import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from perminute.sources.outcomes import Skip
    from perminute.sources.stated_call import InputFile

# A document is read whole. Pages of Graph have 1 MB; exports beyond this come as CSV or as lines.
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
MAX_LINE_BYTES = 1024 * 1024


def _exact(number: str) -> Decimal:
    try:
        return Decimal(number)
    except InvalidOperation:
        # Beyond all exponents; whoever reads the field refuses it.
        return Decimal("Infinity")


# No number of a record goes through a float.
_decode = Decoder(float_hook=_exact).decode
# What msgspec refuses and JSON has, such as half of a surrogate pair in a field that nobody reads.
_lenient = json.JSONDecoder(parse_float=_exact)
_BEYOND_ALL_EXPONENTS = f"1e{10**20}"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_NEXT_DOCUMENT = re.compile(r"[\r\n](?=[{\[])")
_SPACE = re.compile(r"[ \t\r\n]*")
# Between and after the records of a list whose beginning is damaged: nothing that was a record.
_SPACE_IN_DAMAGED_LIST = re.compile(r"[ \t\r\n,\]}]*")
# Of each error `json` counts the lines before it: of many in a large file, most of an hour.
_MAX_TEXT_BEFORE = 64 * 1024
_UNCLOSED = re.compile(r"[^\]}]*")
_MAX_LEVELS = 1_000  # `json` reads fewer: each is a call, and Python has this limit of calls
_PASSED_AT_ONCE, _LOOKED_AT = 500, 16_000  # characters


class _Document(NamedTuple):
    line: int  # on which it begins
    content: Any
    fault: Skip | None = None


def json_documents(file: InputFile, list_name: str = "") -> Iterator[Record]:
    """Yield the records of a file of JSON documents, one after the other.

    A document is a record, a list of records, or an object with such a list under `list_name`.
    After a document that is cut or damaged, reading goes on at the next line that begins one.
    """
    content = file.content.read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        message = f"is larger than {MAX_DOCUMENT_BYTES // 1024**2} MB; divide it"
        yield Record(file.name, None, damaged(message))
        return
    if content.startswith(_UTF_16):
        yield Record(file.name, None, damaged("is UTF-16; save it as UTF-8"))
        return
    documents = _documents(content)
    for document in documents:
        # Only where there are several documents, each is named by its line.
        at = file.name if len(documents) == 1 else f"{file.name}:{document.line}"
        if document.fault:
            yield Record(at, document.content, document.fault)
        else:
            yield from _records(at, document.content, list_name)


def json_lines(file: InputFile) -> Iterator[Record]:
    """Yield the record of each line that is not empty, line by line."""
    for number, line in enumerate(_lines(file.content), 1):
        if not line.strip():
            continue
        at = f"{file.name}:{number}"
        try:
            document = _decoded(line)
        except ValueError as error:
            yield Record(at, _text(line), damaged(f"is not JSON: {error}"))
        else:
            yield _record(at, document)


def _lines(content: BinaryIO) -> Iterator[bytes]:
    while line := content.readline(MAX_LINE_BYTES):
        rest = line
        # The rest of a line that is too long is passed over: what is left of it is not JSON.
        while len(rest) == MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = content.readline(MAX_LINE_BYTES)
        yield line


def _records(at: str, document: Any, list_name: str) -> Iterator[Record]:  # noqa: ANN401 - any JSON
    place = f"{at}#/"
    if list_name and isinstance(document, dict) and isinstance(document.get(list_name), list):
        place, document = f"{place}{list_name}/", document[list_name]
    if isinstance(document, list):
        for number, content in enumerate(document):
            yield _record(f"{place}{number}", content)
    else:
        yield _record(at, document)


def _record(at: str, content: object) -> Record:
    if isinstance(content, dict):
        return Record(at, content)
    # A text alone would be taken for that of a damaged document.
    whole = [content] if isinstance(content, str) else content
    return Record(at, whole, damaged("must be a JSON object"))


def _documents(content: bytes) -> list[_Document]:
    try:
        return [_Document(1, _decode(content.removeprefix(b"\xef\xbb\xbf")))]
    except (DecodeError, UnicodeError, RecursionError):
        return _lines_of_documents(content) or list(_each_document(_text(content)))


def _lines_of_documents(content: bytes) -> list[_Document]:
    """Return the documents of a file that has one on each line; none of any other file.

    In this way they are read several times as fast.
    """
    lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
    try:
        return [_Document(number, _decode(line)) for number, line in lines if line.strip()]
    except (DecodeError, UnicodeError, RecursionError):
        return []


def _each_document(text: str) -> Iterator[_Document]:
    if not text.strip():
        yield _Document(1, text, damaged("is empty"))
        return
    place, line, counted = _after_space(text, 0), 1, 0
    cut_lines = cut_characters = 0
    space = _SPACE
    while place < len(text):
        line, counted = line + text.count("\n", counted, place), place
        try:
            document, place = _lenient.raw_decode(text, place)
            yield _Document(line, document)
        except (ValueError, RecursionError) as error:
            space = _SPACE_IN_DAMAGED_LIST
            passed = _too_deep(text, place) if isinstance(error, RecursionError) else 0
            found = _NEXT_DOCUMENT.search(text, place + max(1, passed))
            piece, place = (
                text[place : found and found.end()],
                found.end() if found else len(text),
            )
            why = _why(error, cut_lines, cut_characters)
            yield _Document(line, piece, damaged(f"is not JSON: {why}"))
            if place > _MAX_TEXT_BEFORE:
                line += text.count("\n", counted, place)
                cut_lines, cut_characters = line - 1, cut_characters + place
                text, place, counted = text[place:], 0, 0
        place = _after_space(text, place, space)


def _too_deep(text: str, place: int) -> int:
    """Return how many characters have more levels after each of their brackets than can be read.

    To begin at each of them again takes a minute a megabyte.
    """
    unclosed = _UNCLOSED.match(text, place, place + _LOOKED_AT)
    levels = unclosed[0].count("[") + unclosed[0].count("{") if unclosed else 0
    return _PASSED_AT_ONCE if levels >= _PASSED_AT_ONCE + _MAX_LEVELS else 0


def _decoded(line: bytes) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Parse a line. Raises `ValueError`."""
    try:
        return _decode(line)
    except (DecodeError, UnicodeError, RecursionError):
        try:
            return _lenient.decode(_text(line))
        except RecursionError as error:
            raise ValueError(_why(error)) from None


def _why(error: Exception, lines: int = 0, characters: int = 0) -> str:
    """Return what is wrong, and where, in a text without so many lines and characters before."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    line, character = lines + error.lineno, characters + error.pos
    return f"{error.msg}: line {line} column {error.colno} (char {character})"


def _after_space(text: str, place: int, space: re.Pattern[str] = _SPACE) -> int:
    match = space.match(text, place)
    return match.end() if match else place


def _text(content: bytes) -> str:
    # Bytes that are not UTF-8 become halves of surrogate pairs, which no id may have.
    return content.decode("utf-8-sig", "surrogateescape")


def write_document(record: object) -> bytes:
    """Write a record as a file that `json_documents` reads to the same."""
    # In a list: an object may have one under the name by which pages have theirs.
    return _as_it_was(record) if isinstance(record, str) else f"[{_json(record)}]".encode()


def write_json_line(record: object) -> bytes:
    """Write a record as a file that `json_lines` reads to the same."""
    return _as_it_was(record) if isinstance(record, str) else f"{_json(record)}\n".encode()


def _as_it_was(damaged_text: str) -> bytes:
    return damaged_text.encode("utf-8", "surrogateescape")


def _json(value: object) -> str:
    # Neither `json` nor msgspec writes all that was read: exact numbers, halves of surrogate pairs.
    match value:
        case dict():
            members = (f"{json.dumps(name)}: {_json(member)}" for name, member in value.items())
            return f"{{{', '.join(members)}}}"
        case list():
            return f"[{', '.join(map(_json, value))}]"
        case Decimal():
            return str(value) if value.is_finite() else _BEYOND_ALL_EXPONENTS
        case _:
            return json.dumps(value)
