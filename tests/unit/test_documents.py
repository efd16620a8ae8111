"""What documents say of commands, files and output is held against the project."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from perminute_local.cli import main
from perminute_local.documents.example_day_records import make_folder

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOMAIN = ROOT / "docs" / "domain.md"
CODE = ("functions", "local", "tests")
FOLDERS = (ROOT / "docs", ROOT / "events", ROOT / "examples")
DOCUMENTS = [*ROOT.glob("*.md"), *(one for folder in FOLDERS for one in folder.rglob("*.md"))]


def shown_runs() -> list[tuple[str, str]]:
    """Each `$ .venv/bin/perminute …` of the README, with the output shown below it."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    runs = re.findall(r"^\$ (.*)\n((?:[^$\n].*\n)*)", "".join(blocks), re.MULTILINE)
    return [(command, output) for command, output in runs if "perminute" in command and output]


@pytest.mark.parametrize(("command", "output"), shown_runs())
def test_what_the_readme_shows_is_what_one_sees(
    command: str,
    output: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    program, *arguments = shlex.split(command)
    assert program == ".venv/bin/perminute"
    assert main(arguments) == 0
    assert capsys.readouterr().out == output


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_and_file_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    targets = set(re.findall(r"(?:`|\$ )make ([a-z0-9]+)", text))
    makefile = (ROOT / "Makefile").read_text()
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_code_cites_pages_and_sections_that_there_are() -> None:
    sections = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\b", DOMAIN.read_text(), re.MULTILINE))
    missing = []
    for path in (p for folder in CODE for p in (ROOT / folder).rglob("*.py")):
        text = path.read_text()
        pages = re.findall(r"docs/[\w/-]+\.md", text)
        missing += [(path, page) for page in pages if not (ROOT / page).exists()]
        cited = re.findall(r"docs/domain\.md((?:,? §\d+(?:\.\d+)?)+)", text)
        numbers = re.findall(r"§(\d+(?:\.\d+)?)", "".join(cited))
        missing += [(path, number) for number in numbers if number not in sections]
        # A section of anything else is one that readers of the repository cannot open.
        others = re.findall(r"\b[A-Z]{4,}(?:\.md)? §\d+", text)
        missing += [(path, other) for other in others]
    assert missing == []


def test_the_tree_in_the_readme_is_the_tree() -> None:
    tree = re.findall(r"^( *)(\S+?/?) {2,}\S", README.split("## Find your way")[1], re.MULTILINE)
    named = [ROOT / "functions" / name if indent else ROOT / name for indent, name in tree]
    assert len(named) > 8
    assert [path for path in named if not path.exists()] == []


def test_the_example_day_is_what_its_generator_makes() -> None:
    day = ROOT / "examples" / "day"
    made = make_folder()
    there = {path.relative_to(day).as_posix() for path in day.rglob("*") if path.is_file()}
    assert there == {*made, "rates.csv"}
    assert {name: (day / name).read_text() for name in made} == made
    assert len(made["events.jsonl"].splitlines()) >= 300
