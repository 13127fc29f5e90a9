"""Commands in texts: each is one that there is, and it is printed as it is typed where it is read."""

from __future__ import annotations

import ast
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from settlement import cli, config
from settlement.adapters.slack import catalogue
from settlement.domain.errors import Refused

PROJECT = Path(__file__).parents[2]
COMMAND = re.compile(r"`settlement ([^`]+)`")
TO_FILL_IN = re.compile(r"[A-Z]+|[가-힣]+|…")


def texts() -> Iterator[tuple[str, str]]:
    """Yield every text of the code, the catalogues and the documents, with where it stands; … for what is filled in."""
    for path in [*PROJECT.glob("docs/**/*.md"), PROJECT / "README.md", PROJECT / "CONTRIBUTING.md"]:
        yield path.name, path.read_text(encoding="utf-8")
    for path in PROJECT.glob("include/**/*.toml"):
        yield path.name, str(tomllib.loads(path.read_text(encoding="utf-8")))
    for path in (found for folder in ("include", "dags", "plugins") for found in (PROJECT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                yield path.name, "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.name, node.value


PRINTED = sorted(
    {
        (where, " ".join(found.split()))
        for where, text in texts()
        for found in COMMAND.findall(text)
        if not found.startswith("…")
    }
)


def parsed(words: list[str]) -> None:
    """Have the command line read words as far as they go; a text that leaves arguments out means no harm."""
    command: Any = typer.main.get_command(cli.app)
    while hasattr(command, "commands"):
        if not words or words[0].startswith("-"):
            return
        name, *words = words
        command = command.get_command(typer.Context(command), name)
        assert command is not None, name
    try:
        command.make_context(command.name, words)
    except typer.BadParameter as error:
        if type(error).__name__ != "MissingParameter":
            raise


def test_texts_tell_people_to_type_commands() -> None:
    assert len(PRINTED) > 40
    assert {"en.toml", "ko.toml", "breaks.py", "commands.md"} <= {where for where, _ in PRINTED}


@pytest.mark.parametrize(("where", "said"), PRINTED)
def test_a_command_that_a_text_names_is_one_that_there_is(where: str, said: str) -> None:
    words = shlex.split(said.replace("[", "").replace("]", ""))
    problems = []
    for value in ("1", "2026-02-16", "2026-02"):
        try:
            parsed([value if TO_FILL_IN.fullmatch(word) else word for word in words])
            return
        except typer.BadParameter as problem:
            problems.append(problem)
    raise problems[0]


def test_no_message_names_a_command_without_its_backticks() -> None:
    command: Any = typer.main.get_command(cli.app)
    names = "|".join(command.list_commands(typer.Context(command)))
    bare = re.compile(rf"(?<= )settlement ({names}) (--|[0-9{{])")
    for language in ("ko", "en"):
        assert not bare.findall(str(catalogue.load(language)))
    assert [(where, text) for where, text in texts() if where.endswith(".py") and bare.search(text)] == []


def test_a_refusal_says_a_command_as_it_is_typed_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def said() -> str:
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().err

    def refuse(**_: Any) -> None:
        raise Refused("The books are old: run `settlement migrate`")

    monkeypatch.setattr(sys.modules["settlement.cli.app"], "app", refuse)
    program = Path(sys.executable).with_name("settlement")
    monkeypatch.delenv("SETTLEMENT_COMMAND", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert said() == f"settlement: The books are old: run `{program} migrate`\n"
    monkeypatch.chdir(program.parents[1])
    assert said() == "settlement: The books are old: run `bin/settlement migrate`\n"
    monkeypatch.setenv("PATH", str(program.parent))
    assert said() == "settlement: The books are old: run `settlement migrate`\n"
    monkeypatch.setenv("SETTLEMENT_COMMAND", "docker compose exec watch settlement")
    assert said() == "settlement: The books are old: run `docker compose exec watch settlement migrate`\n"
    assert config.command() == "docker compose exec watch settlement"
