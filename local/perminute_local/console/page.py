"""The files of the page, as they are sent to a browser."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import perminute.formats

STATIC = Path(__file__).with_name("static")
SHARED_CHARTS = Path(perminute.formats.__file__).with_name("charts")
"""Specifications of charts that statements contain, too."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Allows neither inline scripts nor `eval`, and loads nothing from elsewhere."""

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
}
_LIBRARY_IN_PAGE = b'<meta name="charts" content="/vega.js">\n'


class PageFile(NamedTuple):
    """A file of the page."""

    kind: str
    body: bytes
    is_immutable: bool = False  # its name has a hash of its content


def page_files(library: Path | None) -> dict[str, PageFile]:
    """Return the files by their names; without a library the page shows tables for charts."""
    found = [*STATIC.iterdir(), *SHARED_CHARTS.glob("*.json")]
    files = {file.name: PageFile(_KINDS[file.suffix], file.read_bytes()) for file in found}
    loaded = b""
    if library is not None:
        files[library.name] = PageFile(_KINDS[".js"], library.read_bytes(), is_immutable=True)
        loaded = _LIBRARY_IN_PAGE.replace(b"vega.js", library.name.encode())
    index = files["index.html"]
    files["index.html"] = index._replace(body=index.body.replace(_LIBRARY_IN_PAGE, loaded))
    return files
