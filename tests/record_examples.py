"""The files of examples/call-records, whole and damaged."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from perminute.formats.directory_csv import read_directory
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import SourceOptions

EXAMPLES = Path(__file__).parents[1] / "examples" / "call-records"
DIRECTORY = read_directory((EXAMPLES / "directory.csv").read_bytes())
OPTIONS = SourceOptions(
    tenant="our-zoom-account",
    timezone=ZoneInfo("Europe/Berlin"),
    auth_token="12345",  # noqa: S106 - of the examples
)
FILES = {
    source: [
        path.read_bytes()
        for path in sorted((EXAMPLES / source).rglob("*"))
        if path.is_file() and path.name != "expected.jsonl"
    ]
    for source in SOURCES
}
PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [b'"', b"\n", b",", b"{", b"}", b"null", b"\\ud800", b"\xff", b"1e999", b"-1", b"[]", b"\0"]
    ),
)


@st.composite
def damaged_file(draw: st.DrawFn, source: str) -> bytes:
    """A file of a source that is damaged in up to three places."""
    content = draw(st.sampled_from(FILES[source]))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(content)))
        rest = draw(st.sampled_from([place, place + 1, place + 30, len(content)]))
        content = content[:place] + draw(PIECES) + content[rest:]
    return content
