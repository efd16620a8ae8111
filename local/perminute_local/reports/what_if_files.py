"""The assumptions of `perminute what-if`, read from files into parameters of the report."""

from __future__ import annotations

import gzip
from base64 import b64encode
from typing import TYPE_CHECKING

from perminute.api.reports.what_if import LICENSE_NAMES
from perminute.domain.values.identifiers import read_id
from perminute.formats.compiled_rate_card import compile_rate_card
from perminute.formats.csv_tables import Columns, read_rows
from perminute_local.rates.quotes import load_rate_card
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from pathlib import Path

    from perminute.domain.errors import Fault

MAX_CARD = 5_500_000
"""Characters of a card in a request; AWS: an invocation may have 6 MB ("Lambda quotas")."""

_LICENSES = Columns(("user", "license"))


def card_parameter(path: Path) -> str:
    """Return a rate card as a parameter of the report. Raises `FaultyCard` and `WrongFile`."""
    compiled = compile_rate_card(load_rate_card(path).rates)
    sent = b64encode(gzip.compress(compiled, mtime=0)).decode()
    if len(sent) > MAX_CARD:
        msg = f"{path}: has too many rates for one request; leave out prefixes that nobody calls"
        raise WrongFile(msg)
    return sent


def license_parameters(path: Path) -> list[str]:
    """Return the licenses of a file as a parameter of the report. Raises `WrongFile`."""
    faults: list[Fault] = []
    rows = list(read_rows(path.read_bytes(), _LICENSES, faults))
    found = [
        f"{row.read('license', _license, default='')}:{row.read('user', read_id, default='')}"
        for row in rows
    ]
    if faults:
        first = min(faults)
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        msg = f"{path}: line {first.line}: {first.message}{more}"
        raise WrongFile(msg)
    if not found:
        msg = f"{path}: has no rows; write one for each license, such as adele,subscription"
        raise WrongFile(msg)
    return found


def _license(name: str) -> str:
    if name not in LICENSE_NAMES:
        msg = f"{name!r} is none of {', '.join(LICENSE_NAMES)}"
        raise ValueError(msg)
    return name
