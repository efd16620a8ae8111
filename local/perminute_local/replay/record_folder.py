"""The call records in the folder of a replay: `records/<source>/…`, read by `directory.csv`.

Every fault is found before anything starts. What is in the records themselves is none: a record
that cannot be charged is shown among the rejected ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from perminute.domain.errors import Refused
from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.reference.directory import SOURCE_FAMILIES
from perminute.domain.values.identifiers import check_spaces
from perminute.fields import Message
from perminute.formats.directory_csv import read_directory
from perminute.parsing import parse, text_type
from perminute.sources.stated_call import SourceOptions
from perminute_local.user_input import check_encoding, did_you_mean, faults_of, read_text
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perminute.domain.reference.directory import Directory

T = TypeVar("T")

DIRECTORY, RECORDS, OPTIONS = "directory.csv", "records", "OPTIONS.json"
EXPECTED = "expected.jsonl"
"""What the samples of this repository say of their records, beside them."""

_IN_KEYS = ("tenant=", "tz=", "values=")


def _read_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        msg = "is not a time zone; write its name in the IANA database, as Europe/Berlin"
        raise ValueError(msg) from None


def _read_tenant(tenant: str) -> str:
    if "/" in tenant:
        msg = "must have no slash: it becomes a part of the key of an object in the bucket"
        raise ValueError(msg)
    return check_spaces(tenant)


def _read_token(token: str) -> str:
    if not token or token != token.strip() or not token.isprintable():
        msg = "must be the auth token of Twilio, without spaces around it"
        raise ValueError(msg)
    return token


def _read_file_name(name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        msg = "must be a file in the folder of the source"
        raise ValueError(msg)
    return path


if TYPE_CHECKING:
    Tenant: TypeAlias = str
    Token: TypeAlias = str
    Zone: TypeAlias = ZoneInfo
    FileName: TypeAlias = Path
else:
    Tenant = text_type(_read_tenant, minLength=1, maxLength=MAX_ID_LENGTH)
    Token = text_type(_read_token)
    Zone = text_type(_read_zone)
    FileName = text_type(_read_file_name)


class _Options(Message, frozen=True, kw_only=True):
    tenant: Tenant | None = None
    timezone: Zone | None = None
    auth_token: Token | None = None
    encode_values: bool = True
    files: tuple[FileName, ...] | None = None


class RecordSource(NamedTuple):
    """The folder of a source: its files in order, and what their records do not say."""

    name: str
    folder: Path
    files: tuple[Path, ...]
    options: SourceOptions

    def name_of(self, file: Path) -> str:
        """Return the name of a file in the folder, with `/` between its parts."""
        return file.relative_to(self.folder).as_posix()

    def place_of(self, file: Path) -> str:
        """Return the name of a file in the folder of the replay."""
        return f"{RECORDS}/{self.name}/{self.name_of(file)}"


def record_sources(folder: Path) -> tuple[list[RecordSource], list[WrongFile]]:
    """Return the sources with files in the folder of a replay, and every fault of theirs."""
    errors: list[WrongFile] = []
    sources = [
        source
        for entry in _entries(folder / RECORDS)
        if (source := _unless_faulty(_read_source, entry, errors)) is not None and source.files
    ]
    # A folder without records may have a directory, which is to be sound as well.
    if sources or (folder / DIRECTORY).exists():
        _unless_faulty(directory_of, folder, errors)
    return sources, errors


def directory_of(folder: Path) -> Directory:
    """Read the directory of a folder. Raises `WrongFile` with all of its faults."""
    path = folder / DIRECTORY
    if not path.is_file():
        msg = (
            f"{path}: there is no such file; records need the directory that says whose they are: "
            "docs/sources.md has its columns"
        )
        raise WrongFile(msg)
    check_encoding(path)
    with faults_of(path):
        return read_directory(path.read_bytes())


def _unless_faulty(read: Callable[[Path], T], path: Path, errors: list[WrongFile]) -> T | None:
    try:
        return read(path)
    except WrongFile as error:
        errors.append(error)
        return None


def _read_source(folder: Path) -> RecordSource:
    if not folder.is_dir():
        msg = f"{folder}: is a file; put it into the folder of its source, {RECORDS}/SOURCE/"
        raise WrongFile(msg)
    if folder.name not in SOURCE_FAMILIES:
        hint = did_you_mean(folder.name, SOURCE_FAMILIES)
        msg = f"{folder}: is not a source.{hint} One of {', '.join(SOURCE_FAMILIES)}"
        raise WrongFile(msg)
    options = _read_options(folder / OPTIONS)
    return RecordSource(
        name=folder.name,
        folder=folder,
        files=tuple(_files(folder, options)),
        options=SourceOptions(
            tenant=options.tenant,
            timezone=options.timezone,
            auth_token=options.auth_token,
            encoded_values=options.encode_values,
        ),
    )


def _read_options(path: Path) -> _Options:
    if not path.exists():
        return _Options()
    try:
        return parse(read_text(path), _Options, called="options")
    except Refused as error:
        msg = f"{path}: {error}"
        raise WrongFile(msg) from error


def _files(folder: Path, options: _Options) -> Iterator[Path]:
    if options.files is not None:
        for name in options.files:
            if not (folder / name).is_file():
                msg = f"{folder / OPTIONS}: files: there is no file {name} beside it"
                raise WrongFile(msg)
            yield folder / name
        return
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not path.is_file() or any(part.startswith(".") for part in parts):
            continue
        if parts[0].startswith(_IN_KEYS):
            msg = f"{path}: what a key of the bucket says is said by {folder / OPTIONS} here"
            raise WrongFile(msg)
        if parts not in {(OPTIONS,), (EXPECTED,)}:
            yield path


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
