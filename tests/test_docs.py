"""The documentation does what it says: its snippets run, its links lead somewhere, its commands exist."""

import doctest
import re
import shlex
from pathlib import Path

import pytest
import torch
import typer.main

from archwright.cli.app import app

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (\w+\.py)\n")


def snippets(page):
    """The examples of a page, at the lines where they stand."""
    text, kept = page.read_text(), []
    lines = text.splitlines(keepends=True)
    wanted = set()
    for match in FENCE.finditer(text):
        if match[1] == "python" and ">>>" in match[2]:
            first = text.count("\n", 0, match.start(2))
            wanted.update(range(first, first + match[2].count("\n")))
    for number, line in enumerate(lines):
        kept.append(line if number in wanted else "\n")
    return "".join(kept)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_snippets_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ARCHWRIGHT_RUNS", str(tmp_path / "runs"))
    threads = torch.get_num_threads()
    for match in FENCE.finditer(page.read_text()):
        if named := FILE.match(match[2]):
            (tmp_path / named[1]).write_text(match[2])
    test = doctest.DocTestParser().get_doctest(snippets(page), {"__name__": "__main__"}, page.stem, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    told = []
    runner.run(test, out=told.append)
    torch.set_num_threads(threads)
    assert runner.summarize(verbose=False).failed == 0, "".join(told)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", FENCE.sub("", page.read_text()))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


def named_commands(page):
    """The words after each ``archwright`` in code, comments left out."""
    text = page.read_text()
    code = [line for match in FENCE.finditer(text) for line in match[2].replace("\\\n", " ").splitlines()]
    code += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    for line in code:
        if found := re.match(r"\$?\s*(?:\S*/)?archwright\s+(.*)", line.strip()):
            yield shlex.split(found[1], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_options_exist(page):
    group = typer.main.get_command(app)
    for words in named_commands(page):
        if words[0].startswith("-"):
            continue
        command = group.commands.get(words[0])
        assert command is not None, f"{page.name} names `archwright {words[0]}`"
        if hasattr(command, "commands"):
            command = command.commands[words[1]]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        unknown = [word for word in words[1:] if word.startswith("--") and word.partition("=")[0] not in known]
        assert not unknown, f"{page.name} names `archwright {words[0]} {' '.join(unknown)}`"


def test_every_command_is_documented():
    documented = {words[0] for page in DOCS for words in named_commands(page)}
    assert set(typer.main.get_command(app).commands) <= documented
