"""The past settled in a database of its own, and held against an old system in which differences were planted.

The slow ones are a month each, and took 8 minutes on two cores that did ten other things.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from settlement import cli
from settlement.domain.days import BankCalendar

from tests.cli import shadowed

Typed = Callable[..., tuple[int, Any, str]]

NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/production"
"""A production ledger that whoever opens it cannot reach."""


@pytest.fixture
def typed(
    lending_core: Any, empty_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Return a function that types `settlement shadow`, and returns status, JSON or text, and standard error."""
    connections = {"LENDING_CORE": lending_core.url, "SETTLEMENT_SHADOW": empty_database_url, "SETTLEMENT_DB": NOWHERE}
    for name, url in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps({"conn_type": "generic", "extra": {"url": url}}))
    monkeypatch.setenv("SETTLEMENT_NOW", "2026-03-10T06:00+09:00")
    for name in ("SETTLEMENT_POLICY", "AIRFLOW_CONN_SETTLEMENT_BANK", "AIRFLOW_CONN_SETTLEMENT_SLACK"):
        monkeypatch.delenv(name, raising=False)

    def typed(*words: str, as_json: bool = True) -> tuple[int, Any, str]:
        monkeypatch.setattr(
            sys, "argv", ["settlement", "shadow", *words, *(["--json"] if as_json else ["--lang", "en"])]
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(said.out) if as_json and said.out else said.out, said.err

    return typed


def dates(since: str, until: str) -> list[date]:
    calendar = BankCalendar("KR", ("public", "bank"))
    return calendar.days_between(date.fromisoformat(since), date.fromisoformat(until))


def each_difference_is_named(
    typed: Typed, core: Any, shadow_url: str, folder: Path, *, since: str, until: str, seed: int
) -> None:
    """Hold a lender against itself, and against an old system with a difference of each cause."""
    period, on = ("--from", since, "--to", until), dates(since, until)
    shadowed.fill(core.owner_url, on, seed=seed)
    nothing = folder / "nothing.csv"
    nothing.write_text("settlement_date,loan_id,investor_id,net_amount\n", encoding="utf-8")
    status, found, _ = typed(*period, "--against", str(nothing))
    assert (status, [row["cause"] for row in found["causes"]]) == (0, ["receipt_they_lack"])

    shares = shadowed.shares(shadow_url)
    status, found, said = typed(*period, "--against", shadowed.same(shares).write(folder / "same.csv"))
    assert (status, found["causes"], found["differences"], found["unexplained"]) == (0, [], [], 0)
    assert found["payments"] == len({shadowed.key_of(share) for share in shares})
    assert f"{len(on)}/{len(on)} {until}" in said

    old = shadowed.planted(shares, on)
    engine = sa.create_engine(core.owner_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("delete from core.repayments where loan_id = :loan"), {"loan": shadowed.WE_LACK})
    engine.dispose()
    status, found, _ = typed(*period, "--against", old.write(folder / "old.csv"), "--report", str(folder / "report"))
    assert (status, found["unexplained"]) == (1, 1)
    assert dict(shadowed.differences(found)) == {key: amounts for key, amounts in old.planted.items() if any(amounts)}
    with zipfile.ZipFile(folder / "report" / f"shadow-{since}-{until}.xlsx") as book:
        names = book.read("xl/workbook.xml").decode()
    causes = {row["cause"] for row in found["causes"]}
    assert len(causes) == 9
    assert names.count("<sheet ") == 10
    assert {path.name for path in (folder / "report").glob("*.csv")} == {
        f"shadow-{since}-{until}-{name}.csv" for name in ("causes", *causes)
    }


def test_each_planted_difference_is_named_with_its_amount_and_no_other(
    typed: Typed, lending_core: Any, empty_database_url: str, tmp_path: Path
) -> None:
    each_difference_is_named(
        typed, lending_core, empty_database_url, tmp_path, since="2026-02-05", until="2026-02-09", seed=1
    )


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", [2, 3])
def test_a_month_in_which_each_planted_difference_is_named(
    typed: Typed, lending_core: Any, empty_database_url: str, tmp_path: Path, seed: int
) -> None:
    each_difference_is_named(
        typed, lending_core, empty_database_url, tmp_path, since="2026-02-02", until="2026-02-27", seed=seed
    )


# ------------------------------------------------------------------------------------------- what is refused, and why

PERIOD = ("--from", "2026-02-05", "--to", "2026-02-05")


def test_a_database_that_holds_anything_but_a_shadow_is_refused_and_stays_as_it_is(
    typed: Typed, settlement_db_url: str, lending_core: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = tmp_path / "nothing.csv"
    nothing.write_text("settlement_date,loan_id,investor_id,net_amount\n", encoding="utf-8")
    for url, holds in ((settlement_db_url, "[ledger, reporting]"), (lending_core.owner_url, "[core]")):
        shadow = json.dumps({"conn_type": "generic", "extra": {"url": url}})
        monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_SHADOW", shadow)
        status, out, said = typed(*PERIOD, "--against", str(nothing))
        assert (status, out) == (1, "")
        assert f"holds {holds} and is no earlier shadow" in said
    production = json.dumps({"conn_type": "generic", "extra": {"url": NOWHERE.replace("127.0.0.1", "localhost")}})
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_SHADOW", production)
    status, _, said = typed(*PERIOD, "--against", str(nothing))
    assert status == 1
    assert "names the database of [settlement_db]: a shadow run never opens the production ledger" in said


def test_what_the_former_system_paid_is_refused_where_it_cannot_be_used(typed: Typed, tmp_path: Path) -> None:
    head = "settlement_date,loan_id,investor_id,net_amount\n"
    file = tmp_path / "paid.csv"
    for content, said in (
        ("settlement_date,loan_id,net_amount\n2026-02-05,L1,1\n", "has no column ['investor_id']"),
        (head + "2026-02-05,L1,I1,1.5\n", "cannot be"),
        (head + "2026-02-05,L1,I1,\n", "[net_amount] has no value in [1] rows"),
        (head + "05.02.2026,L1,I1,1\n", "cannot be"),
    ):
        file.write_text(content, encoding="utf-8")
        status, out, error = typed(*PERIOD, "--against", str(file))
        assert (status, out) == (1, ""), content
        assert said in error, content
        assert "Traceback" not in error
    for against, said in (
        ("core.paid", "The source has no relation [core.paid], and there is no file of this name"),
        ("paid; drop table x", "neither a CSV or Parquet file nor the name of a relation"),
        (str(tmp_path / "absent.csv"), "absent.csv] cannot be read"),
    ):
        status, _, error = typed(*PERIOD, "--against", against)
        assert status == 1
        assert said in error
    file.write_text(head, encoding="utf-8")
    status, _, error = typed("--from", "2026-03-09", "--to", "2026-03-12", "--against", str(file))
    assert status == 1
    assert "[2026-03-12] cannot be settled" in error
    assert typed("--from", "2026-03-12", "--to", "2026-03-09", "--against", str(file))[0] == 2


def test_from_opening_positions_a_shadow_pays_what_it_would_have_paid_from_the_first_money_on(
    typed: Typed, lending_core: Any, empty_database_url: str, tmp_path: Path
) -> None:
    on = dates("2026-02-05", "2026-02-09")
    shadowed.fill(lending_core.owner_url, on, seed=4)
    nothing = tmp_path / "nothing.csv"
    nothing.write_text("settlement_date,loan_id,investor_id,net_amount\n", encoding="utf-8")
    status, _, _ = typed("--from", "2026-02-05", "--to", "2026-02-09", "--against", str(nothing))
    assert status == 0
    shares = shadowed.shares(empty_database_url)
    old = shadowed.same(shares)
    shadowed.show(lending_core.owner_url, old)
    opening = shadowed.opening(shares, before=on[1])
    (tmp_path / "opening.csv").write_text(opening, encoding="utf-8")
    last = ("--from", "2026-02-06", "--to", "2026-02-09", "--against", "paid")
    status, found, _ = typed(*last, "--opening", str(tmp_path / "opening.csv"))
    assert (status, found["settled_from"], found["settled"], found["causes"]) == (0, "2026-02-06", 2, [])
    assert found["payments"] == len({key for key in old.paid if key[0] > on[0]})
    # without them the two dates come after the first, which is settled and not compared
    status, found, said = typed(*last)
    assert (status, found["settled_from"], found["settled"], found["compared"]) == (0, "2026-02-05", 3, 2)
    assert "1/3 2026-02-05: 정산 완료" in said  # in the language of the policy


def test_what_nothing_explains_is_said_in_words_and_is_the_exit_status(typed: Typed, tmp_path: Path) -> None:
    saturday = ("--from", "2026-02-07", "--to", "2026-02-07", "--against", str(tmp_path / "paid.csv"))
    (tmp_path / "paid.csv").write_text(
        "settlement_date,loan_id,investor_id,currency,gross_amount,net_amount\n2026-02-07,L1,I1,KRW,1500,1200\n",
        encoding="utf-8",
    )
    status, text, said = typed(*saturday, as_json=False)
    assert status == 1
    assert "1/1 2026-02-07: 1 payments differ" in said
    lines = [line.split() for line in text.splitlines()]
    assert ["unexplained", "KRW", "1", "1,200", "1,500", "1,200"] in lines
    assert ["2026-02-07", "L1", "I1", "KRW", "1,500", "1,200"] in lines
    assert "0 dates settled, 1 payments compared on 1 dates, by gross, net." in text
