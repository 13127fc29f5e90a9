"""A backup as docs/deployment.md makes it, restored on a machine that has nothing: the books prove themselves there,
settling goes on, and what was sent after the dump is paid once.

A minute on two cores that others use too: a second PostgreSQL is begun for each story.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from settlement.adapters.ledger import migrate
from settlement.stages import close, reconcile
from settlement_lab.servers import embedded

from .conftest import Platform
from .payout_stories import AT_BANK, NEXT, ON, booked_at_bank, owed, settle, settle_next, states, worked_day

pytestmark = pytest.mark.slow

MONDAY = "2026-02-23T06:00+09:00"


def run(program: str, *arguments: str) -> None:
    subprocess.run([embedded.BIN / program, *arguments], check=True, timeout=120)


def back_up(platform: Platform, folder: Path) -> None:
    """Dump the books, then keep the frozen inputs: `docs/deployment.md`, *Backup and restore*."""
    folder.mkdir()
    url = platform.ledger_url.replace("+psycopg", "").replace("settlement@", f"{embedded.SUPERUSER}@")
    run("pg_dump", "--dbname", url, "--format", "custom", "--file", str(folder / "books.dump"))
    command = [
        "tar",
        "--create",
        "--directory",
        str(folder.parent),
        "--file",
        str(folder / "snapshots.tar"),
        "snapshots",
    ]
    subprocess.run(command, check=True, timeout=60)


@contextmanager
def restored(platform: Platform, backup: Path, elsewhere: Path) -> Iterator[Platform]:
    """Have the platform on another machine: a new PostgreSQL with an empty schema, over which the dump is restored.

    The lender's source and the bank are where they were.
    """
    with embedded.running(elsewhere, durable=False) as server:
        migrate.migrate(server.settlement_db_url)
        url = server.url("settlement_db", user=embedded.SUPERUSER, driver="postgresql")
        run("pg_restore", "--dbname", url, "--clean", "--if-exists", "--exit-on-error", str(backup / "books.dump"))
        command = ["tar", "--extract", "--directory", str(elsewhere), "--file", str(backup / "snapshots.tar")]
        subprocess.run(command, check=True, timeout=60)
        connection = {"conn_type": "generic", "extra": {"url": server.settlement_db_url}}
        platform.monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_DB", json.dumps(connection))
        platform.monkeypatch.setenv("SETTLEMENT_SNAPSHOTS", str(elsewhere / "snapshots"))
        yield Platform(
            core_url=platform.core_url,
            ledger_url=server.settlement_db_url,
            bank=platform.bank,
            monkeypatch=platform.monkeypatch,
        )


def sound(platform: Platform) -> bool:
    """Tell whether `verify` finds nothing, and the day is computed again from its inputs to the byte."""
    with platform.services() as services:
        differs = close.replay(services, date.fromisoformat(ON))["differs"]
        return close.verify(services) == [] and differs == []


def test_a_backup_is_restored_elsewhere_proves_itself_and_the_next_day_settles(
    platform: Platform, tmp_path: Path
) -> None:
    worked_day(platform)
    settle(platform)
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-19T06:00+09:00"))
    everything = "select * from reporting.journal order by entry_id, account, amount"
    journal, certified = platform.rows(everything), platform.rows("select sha256 from ledger.certificates")
    back_up(platform, tmp_path / "backup")

    with restored(platform, tmp_path / "backup", tmp_path / "elsewhere") as there:
        assert there.rows(everything) == journal
        assert there.rows("select sha256 from ledger.certificates") == certified
        assert sound(there)
        again = there.settle(ON, at="2026-02-19T07:00+09:00", run_id="run-again")
        assert again["report"]["already_settled"]
        assert there.rows(everything) == journal

        assert not settle_next(there)["report"]["already_settled"]
        with there.services() as services:
            reconcile.take_in_everything(services, now=there.at(MONDAY))
        assert sound(there)
        assert there.rows("select settlement_date::text, state from ledger.days order by 1") == [
            (ON, "closed"),
            (NEXT, "closed"),
        ]
        assert owed(there) == []
        assert booked_at_bank(there) == AT_BANK


def test_what_was_sent_after_the_dump_is_known_again_once_the_bank_has_spoken_and_is_paid_once(
    platform: Platform, tmp_path: Path
) -> None:
    worked_day(platform)
    settle(platform, stop_after="approval")
    back_up(platform, tmp_path / "backup")
    settle(platform)
    assert booked_at_bank(platform) == AT_BANK

    with restored(platform, tmp_path / "backup", tmp_path / "elsewhere") as there:
        assert {state for *_, state in states(there)} == {"approved"}
        settle(there, run_id="run-2")
        with there.services() as services:
            reconcile.take_in_everything(services, now=there.at(MONDAY))
        assert {state for *_, state in states(there)} == {"booked"}
        assert booked_at_bank(there) == AT_BANK
        assert owed(there) == []
        assert sound(there)
