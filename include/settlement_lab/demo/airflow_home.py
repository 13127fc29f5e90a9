"""Airflow on the demo's own ground: its home, its environment, its metadata database, its processes.

Nothing of it touches another Airflow on this machine: the home, the database and the ports are the demo's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx
import settlement
from settlement import config
from settlement.domain import policy as policies
from settlement.domain.alerts.routing import Language

from settlement_lab.demo import world
from settlement_lab.servers import services

PROJECT = Path(settlement.__file__).parents[2]
PACKAGE = Path(settlement.__file__).parent
AIRFLOW = [sys.executable, "-m", "airflow"]
USERS = ("maker", "checker", "viewer")
ROLES = {"maker": "op", "checker": "op", "viewer": "viewer"}
DAGS = ("daily_settlement", "bank_reconciliation", "alert_delivery")
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
APPROVAL_LIMIT = 38_000_000
HEALTHY_SECONDS = 180.0
TASKS_END_SECONDS = 60.0


class CannotStart(RuntimeError):
    """Airflow did not start; the message says which part and where its log is."""


def environment(endpoints: services.Endpoints) -> dict[str, str]:
    """Return the whole environment of a process of the demo's Airflow."""
    home = folder(endpoints.home)
    kept = _secrets(home)
    ours = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__SECRET_KEY": kept["api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": kept["jwt"],
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",  # until every part of Airflow is there to run them
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": kept["fernet"],
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in ROLES.items()),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": endpoints.postgres.airflow_url,
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH")))),
        "SETTLEMENT_COMMAND": typed("demo", endpoints.home),
        "SETTLEMENT_POLICY": str(policy(endpoints.home)),
    }
    foreign = ("AIRFLOW", "SETTLEMENT_")  # what the caller's shell knows of another Airflow does not come in
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return inherited | ours | endpoints.environment()


def typed(command: str, home: Path) -> str:
    """Return what people type for a command of the lab on the data of a home."""
    where = "" if home == services.default_home() else f" --home {shlex.quote(str(home))}"
    return f"{config.program()} {command}{where}"


def folder(home: Path) -> Path:
    """Create and return the demo's AIRFLOW_HOME."""
    path = home / "airflow"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def policy(home: Path, *, language: Language = "ko") -> Path:
    """Write the demo's policy, once per home, and return its path.

    It is the Korean one with a first and a last settlement date, with a limit below the payouts of the biggest day, and
    in the language of whoever settles first.
    A home keeps the policy that its days were settled by: another one would be a changed fact of every loan.
    """
    path = home / "policy.toml"
    if not path.exists():
        text = (PACKAGE / "policies" / "kr.toml").read_text(encoding="utf-8")
        first, last = world.DATES[0], world.DATES[-1]
        for pattern, ours in (
            (r'^name = "kr"', 'name = "kr-demo"'),
            (r'^language = "ko"', f'language = "{language}"'),
            (r"^# first_settlement_date.*?$", f"first_settlement_date = {first}"),
            (r"^# last_settlement_date.*?$", f"last_settlement_date = {last}"),
            (r"(?<=^\[approval\]).*?^# limit\.KRW.*?$", f"\nlimit.KRW = {APPROVAL_LIMIT}"),
        ):
            text, times = re.subn(pattern, ours, text, count=1, flags=re.MULTILINE | re.DOTALL)
            assert times == 1, f"kr.toml has no line [{pattern}]"
        path.write_text(text, encoding="utf-8")
    return path


def language(home: Path) -> Language:
    """Return the language in which a home speaks: its policy's, or the terminal's where nothing is settled yet."""
    path = home / "policy.toml"
    if path.exists():
        return policies.load(path).alerts.language
    named = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return "ko" if named.startswith("ko") else "en"


def migrate(endpoints: services.Endpoints) -> None:
    """Create or upgrade Airflow's metadata database; once per version of Airflow, for it takes a while to find out."""
    done = folder(endpoints.home) / "migrated"
    current = version("apache-airflow-core")
    if done.exists() and done.read_text() == current:
        return
    log = endpoints.home / "log" / "airflow-migrate.log"
    with log.open("wb") as output:
        status = subprocess.call([*AIRFLOW, "db", "migrate"], env=environment(endpoints), stdout=output, stderr=output)
    if status:
        raise CannotStart(f"airflow db migrate ended with status [{status}]; see [{log}]")
    done.write_text(current)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def users_environment(home: Path, port: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment of an API server, and the passwords of the demo's three users, made once per home."""
    path = folder(home) / "passwords.json"
    if not path.exists():
        _write_secret(path, {user: secrets.token_urlsafe(9) for user in USERS})
    base = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(path),
    }, json.loads(path.read_text())


def wait_until_healthy(url: str, processes: dict[str, subprocess.Popen[bytes]], log: Path) -> None:
    """Wait until every part of Airflow says that it is healthy. Raises CannotStart."""
    deadline = time.monotonic() + HEALTHY_SECONDS
    health: dict[str, dict[str, str]] = {}
    while time.monotonic() < deadline:
        for name, process in processes.items():
            if process.poll() is not None:
                raise CannotStart(f"Airflow's {name} ended with status [{process.returncode}]; see [{log}]")
        try:
            health = httpx.get(f"{url}/api/v2/monitor/health", timeout=5, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            health = {}
        if health and all(part.get("status") in ("healthy", None) for part in health.values()):
            return
        time.sleep(0.5)
    raise CannotStart(f"Airflow is not healthy after {HEALTHY_SECONDS:.0f} s: {health}; see [{log}]")


def unpause(url: str, password: str) -> None:
    """Have the scheduler take up every DAG once all are read, as the maker may.

    Raises CannotStart: one is not read in good time.
    """
    deadline = time.monotonic() + HEALTHY_SECONDS
    with _maker(url, password) as client:
        while missing := set(DAGS) - _known(client):
            if time.monotonic() > deadline:
                raise CannotStart(f"Airflow has not read {sorted(missing)} after {HEALTHY_SECONDS:.0f} s; see [{url}]")
            time.sleep(0.5)
        _pause(client, is_paused=False)


def let_tasks_end(url: str, password: str, *, seconds: float = TASKS_END_SECONDS) -> None:
    """Have the scheduler begin nothing more, and wait for what runs: a task that is cut off is told of as a failure.

    A task that waits for a person does not run. An Airflow that does not answer any more is not waited for.
    """
    deadline = time.monotonic() + seconds
    with contextlib.suppress(httpx.HTTPError), _maker(url, password) as client:
        _pause(client, is_paused=True)
        while time.monotonic() < deadline and _running(client):
            time.sleep(0.5)


@contextmanager
def _maker(url: str, password: str) -> Iterator[httpx.Client]:
    """Yield a client that is logged in as the maker."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        login = client.post("/auth/token", json={"username": "maker", "password": password}).raise_for_status()
        client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        yield client


def _pause(client: httpx.Client, *, is_paused: bool) -> None:
    client.patch("/api/v2/dags", params={"dag_id_pattern": "%"}, json={"is_paused": is_paused}).raise_for_status()


def _known(client: httpx.Client) -> set[str]:
    """Return the DAGs that Airflow has read."""
    return {row["dag_id"] for row in client.get("/api/v2/dags").raise_for_status().json()["dags"]}


def _running(client: httpx.Client) -> int:
    """Return how many tasks run, or are handed to a worker."""
    states: dict[str, list[str] | int] = {"state": ["running", "queued"], "limit": 1}
    found = client.get("/api/v2/dags/~/dagRuns/~/taskInstances", params=states).raise_for_status()
    return int(found.json()["total_entries"])


def _secrets(home: Path) -> dict[str, str]:
    """Return the keys that the parts of Airflow share, made once per home."""
    path = home / "keys.json"
    if not path.exists():
        from cryptography.fernet import Fernet

        made = {"fernet": Fernet.generate_key().decode(), "jwt": secrets.token_urlsafe(32)}
        _write_secret(path, made | {"api": secrets.token_urlsafe(32)})
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def _write_secret(path: Path, value: dict[str, str]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file)
