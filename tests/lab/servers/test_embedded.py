from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import sqlalchemy
from settlement_lab.servers import embedded

CONTRACT_TABLES = {
    "investors",
    "loans",
    "note_holdings",
    "notes",
    "opening_positions",
    "receivables",
    "refunds",
    "repayments",
}

OWN_A_SERVER = """
import sys, time
from pathlib import Path
from typing import Any
from settlement_lab.servers import embedded
with embedded.running(Path(sys.argv[1]), durable=False) as server:
    print(server.airflow_url, flush=True)
    time.sleep(60)
"""


def plain(url: str) -> str:
    return url.replace("+psycopg2", "").replace("+psycopg", "")


def is_gone(pid: int) -> bool:
    """Tell whether the process has ended; one that only waits to be buried by whoever adopted it has."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_source_has_the_tables_of_the_contract(postgres: embedded.Server) -> None:
    with psycopg.connect(plain(postgres.lending_core_url)) as connection:
        rows = connection.execute("select tablename from pg_tables where schemaname = 'core'").fetchall()
    assert {name for (name,) in rows} == CONTRACT_TABLES


@pytest.mark.parametrize(
    "statement",
    [
        "insert into core.loans values ('L1', 'KRW', '2026-01-15')",
        "update core.loans set currency = 'EUR'",
        "delete from core.loans",
        "truncate core.loans cascade",
        "create table core.mine (id int)",
        "create table public.mine (id int)",
        "create temporary table mine (id int)",
        "create schema mine",
        "drop schema core cascade",
    ],
)
def test_the_reader_of_the_source_cannot_write_even_when_it_asks_for_a_writing_transaction(
    postgres: embedded.Server, statement: str
) -> None:
    with psycopg.connect(plain(postgres.lending_core_url)) as connection:
        connection.execute("set transaction read write")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_the_reader_sees_what_the_owner_wrote(lending_core: Any) -> None:
    with psycopg.connect(plain(lending_core.owner_url)) as connection:
        connection.execute("insert into core.loans values ('L1', 'KRW', '2026-01-15')")
    with sqlalchemy.create_engine(lending_core.url).connect() as reader:
        assert reader.exec_driver_sql("select loan_id from core.loans").scalars().all() == ["L1"]


def test_every_driver_understands_the_urls(postgres: embedded.Server) -> None:
    import adbc_driver_postgresql.dbapi

    with sqlalchemy.create_engine(postgres.settlement_db_url).connect() as connection:
        assert connection.exec_driver_sql("select current_user").scalar() == "settlement"
    with sqlalchemy.create_engine(postgres.airflow_url).connect() as connection:
        assert connection.exec_driver_sql("select current_user").scalar() == "airflow"
    with adbc_driver_postgresql.dbapi.connect(plain(postgres.lending_core_url)) as source, source.cursor() as cursor:
        cursor.execute("select current_user::text")
        assert cursor.fetchone() == ("settlement_reader",)


def test_nobody_reaches_the_socket_but_its_owner(postgres: embedded.Server) -> None:
    assert postgres.socket_dir.stat().st_mode & 0o077 == 0
    assert not (postgres.socket_dir / "postmaster.pid").exists()


def test_a_home_with_a_long_name_gets_a_short_socket_path_of_its_own(tmp_path: Path) -> None:
    homes = [tmp_path / f"{'깊은 folder ' * 12}{name}" for name in "ab"]
    for home in homes:
        home.mkdir()
    directories = [embedded.socket_directory(home) for home in homes]
    try:
        assert len(set(directories)) == 2
        assert all(len(os.fsencode(path / embedded.SOCKET_NAME)) < 107 for path in directories)
    finally:
        for path in directories:
            path.rmdir()


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    with embedded.running(tmp_path) as server, psycopg.connect(plain(server.lending_core_owner_url)) as connection:
        connection.execute("insert into core.loans values ('L1', 'KRW', '2026-01-15')")
    with embedded.running(tmp_path) as server, psycopg.connect(plain(server.lending_core_url)) as connection:
        assert connection.execute("select loan_id from core.loans").fetchall() == [("L1",)]


def test_a_second_server_in_the_same_home_is_refused(tmp_path: Path) -> None:
    with embedded.running(tmp_path, durable=False), pytest.raises(embedded.CannotStart, match="Another process"):
        embedded.start(tmp_path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's death signal is Linux's")
def test_the_server_dies_with_its_killed_owner_and_the_next_one_starts(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWN_A_SERVER, str(tmp_path)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline()
    server = int((tmp_path / "postgres" / "postmaster.pid").read_text().split()[0])
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    wait_until(lambda: is_gone(server))
    with embedded.running(tmp_path) as restarted, psycopg.connect(plain(restarted.airflow_url)) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_stale_pid_file_that_names_a_stranger_does_not_stop_a_start(tmp_path: Path) -> None:
    with embedded.running(tmp_path, durable=False):
        pid_file = (tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()
    pid_file[0] = str(os.getppid())
    (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join(pid_file))
    with embedded.running(tmp_path, durable=False) as server:
        assert server.socket_dir.is_dir()


def test_a_half_made_cluster_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "base").mkdir(parents=True)
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")
    with embedded.running(tmp_path, durable=False) as server:
        assert server.socket_dir.is_dir()
