"""The services of one home: PostgreSQL, the bank and the Slack sink, running for as long as anybody uses them.

A *keeper* process owns the services. Whoever uses them holds a connection to the keeper's socket; when the last one
lets go — the block ends, Ctrl-C, a crash, SIGKILL — the keeper stops everything and ends. A second command on the
same home finds the keeper and shares its services. Two homes share nothing. Ports are chosen by the servers themselves.

`endpoints.json` in the home says where everything is, for people and for tools that hold no connection.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import settlement

from settlement_lab.servers import bank, embedded

CLOCK = "2026-02-12T06:00"
SLACK_TOKEN = "xoxb-settlement-demo"  # noqa: S105 - the sink on this machine takes any
START_SECONDS = 90.0


class CannotStart(RuntimeError):
    """The services did not start; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the services of a home are."""

    home: Path
    postgres: embedded.Server
    bank: bank.Bank
    slack_url: str

    @property
    def slack_base_url(self) -> str:
        """Return what a Slack connection calls `base_url`."""
        return f"{self.slack_url}/api/"

    def environment(self) -> dict[str, str]:
        """Return the environment in which the product finds these services: the connections and the snapshots."""
        host, _, port = self.bank.url.removeprefix("http://").partition(":")
        account = {
            "debtor_account": bank.DEBTOR_ACCOUNT,
            "debtor_name": bank.DEBTOR_NAME,
            "debtor_agent": bank.DEBTOR_AGENT,
            "currency": bank.CURRENCY,
        }
        connections: dict[str, dict[str, Any]] = {
            "lending_core": {"conn_type": "generic", "extra": {"url": self.postgres.lending_core_url}},
            "settlement_db": {"conn_type": "generic", "extra": {"url": self.postgres.settlement_db_url}},
            "settlement_bank": {
                "conn_type": "http",
                "schema": "http",
                "host": host,
                "port": int(port),
                "extra": account,
            },
            "settlement_slack": {
                "conn_type": "slack",
                "password": SLACK_TOKEN,
                "extra": {"base_url": self.slack_base_url, "timeout": 5},
            },
        }
        named = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()}
        return named | {"SETTLEMENT_SNAPSHOTS": str(self.home / "snapshots")}

    def conversations(self) -> dict[str, list[tuple[dict[str, Any], list[dict[str, Any]]]]]:
        """Return what was said in each channel: the roots, oldest first, each with its replies."""
        answer: dict[str, Any] = httpx.get(f"{self.slack_url}/_sink/conversations", timeout=30, trust_env=False).json()
        return answer

    def to_json(self) -> str:
        """Return the endpoints as one line."""
        known = {"home": self.home, "sockets": self.postgres.socket_dir, "bank": self.bank.url, "slack": self.slack_url}
        return json.dumps({key: str(value) for key, value in known.items()}, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Endpoints:
        """Return the endpoints that `to_json` wrote."""
        known = json.loads(line)
        home = Path(known["home"])
        return cls(
            home=home,
            postgres=embedded.Server(socket_dir=Path(known["sockets"])),
            bank=bank.Bank(url=known["bank"], folder=home / "bank"),
            slack_url=known["slack"],
        )


def default_home() -> Path:
    """Return the folder of the demo: `$SETTLEMENT_HOME`, or `.settlement` beside the project's `include`."""
    named = os.environ.get("SETTLEMENT_HOME")
    if named:
        return Path(named).expanduser().resolve()
    project = Path(settlement.__file__).parents[2]
    return (project if (project / "dags").is_dir() else Path.cwd()) / ".settlement"


@contextmanager
def running(home: Path | None = None, *, clock: str = CLOCK) -> Iterator[Endpoints]:
    """Have the services of `home` running for as long as the block lasts; a new bank opens at `clock`.

    Raises CannotStart.
    """
    home = (home or default_home()).expanduser().resolve()
    embedded.make_home(home)
    hold, endpoints = _join(home, clock)
    with hold:
        yield endpoints


def _join(home: Path, clock: str) -> tuple[socket.socket, Endpoints]:
    """Connect to the home's keeper, and start one if there is none."""
    deadline = time.monotonic() + START_SECONDS
    keeper: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        joined = try_to_join(home)
        if joined is not None:
            return joined
        if keeper is None or keeper.poll() == 0:  # none yet, or it gave way to another that is ending by now
            keeper = _start_keeper(home, clock)
        elif keeper.poll() is not None:
            raise CannotStart(f"The services of [{home}] did not start: {_last_words(home)}")
        time.sleep(0.05)
    raise CannotStart(f"The services of [{home}] did not start in {START_SECONDS:.0f} s; see [{home / 'log'}]")


def try_to_join(home: Path) -> tuple[socket.socket, Endpoints] | None:
    """Connect to the home's keeper and return the connection and what it keeps; None if no keeper answers."""
    hold = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(OSError, embedded.CannotStart):
        hold.connect(str(keeper_socket(home)))
        with hold.makefile("r", encoding="utf-8") as lines:
            line = lines.readline()
        if line:
            return hold, Endpoints.from_json(line)
    hold.close()
    return None


def keeper_socket(home: Path) -> Path:
    """Return the path of the keeper's socket."""
    return embedded.socket_directory(home, embedded.server_account()) / "keeper.sock"


def _start_keeper(home: Path, clock: str) -> subprocess.Popen[bytes]:
    (home / "log").mkdir(exist_ok=True, mode=0o700)
    with (home / "log" / "keeper.log").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "settlement_lab.servers.keeper", str(home), clock],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is the users' business; the keeper outlives it to stop things in order
        )


def _last_words(home: Path) -> str:
    lines = (home / "log" / "keeper.log").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it left no message"
