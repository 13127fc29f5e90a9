"""A checkout of the product, driven from outside through the names that never change."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as clock_time
from pathlib import Path
from typing import IO, Any

from benchmarks.same import lab

TEMPLATE = "settlement_migrated"
"""The settlement database as the checkout's own `settlement migrate` makes it; every world starts with a copy."""


class CannotCompare(RuntimeError):
    """A checkout cannot be driven; the message says which and why."""


def check(path: Path) -> None:
    """Prove that a folder has what a checkout is driven by.

    Raises CannotCompare: it lacks something; the message names it.
    """
    for needed in ("dags/daily_settlement.py", "dags/bank_reconciliation.py", ".venv/bin/settlement"):
        if not (path / needed).exists():
            raise CannotCompare(f"[{path}] has no [{needed}]: name a checkout, and run `make .venv/.ready` in it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A checkout with an environment of its own, and the servers' folder of this comparison."""

    path: Path
    home: Path

    def prepare(self, server: lab.Postgres) -> None:
        """Create Airflow's database and the settlement database of this checkout, each by its own command.

        Raises CannotCompare: a command fails.
        """
        server.create_database(TEMPLATE, owner="settlement")
        url = {"conn_type": "generic", "extra": {"url": server.url(TEMPLATE, user="settlement")}}
        self._call("airflow", "db", "migrate", environment=self._airflow(server))
        self._call("settlement", "migrate", environment={"AIRFLOW_CONN_SETTLEMENT_DB": json.dumps(url)})

    def demo(self, home: Path) -> int:
        """Run `settlement demo` in a folder and return its exit status."""
        command = ("settlement", "demo", "--lang", "ko", "--json", "--home", str(home))
        return self._call(*command, environment={}, check=False)

    @contextmanager
    def airflow(self, server: lab.Postgres) -> Iterator[Airflow]:
        """Have a process of this checkout's Airflow run DAGs for as long as the block lasts.

        Raises CannotCompare: its environment holds the product of another checkout.
        """
        command = [str(self.path / ".venv/bin/python"), "-P", str(Path(__file__).with_name("teller.py"))]
        with self._log("airflow").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=_clean(self._airflow(server)),
                cwd=self.home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            airflow = Airflow(process=process, log=self._log("airflow"))
            product = airflow.answer()["product"]
            if product is None or not Path(product).resolve().is_relative_to(self.path):
                raise CannotCompare(f"The environment of [{self.path}] holds the product of [{product}]: make it anew")
            yield airflow
        finally:
            process.kill()
            process.wait()

    def _airflow(self, server: lab.Postgres) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(self.home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.path / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.path / "plugins"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.airflow_url,
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def _call(self, program: str, *arguments: str, environment: dict[str, str], check: bool = True) -> int:
        log = self._log(f"{program}-{arguments[0]}")
        with log.open("ab") as output:
            command = [str(self.path / ".venv/bin" / program), *arguments]
            status = subprocess.call(
                command, env=_clean(environment), cwd=self.home, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        if status and check:
            raise CannotCompare(
                f"[{program} {' '.join(arguments)}] of [{self.path}] ended with [{status}]: see [{log}]"
            )
        return status

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"


@dataclass(slots=True, kw_only=True)
class Airflow:
    """A process that runs the DAGs of one checkout; `environment` is what the next run finds its services in."""

    process: subprocess.Popen[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, dag: str, on: date, now: datetime, **conf: Any) -> str:
        """Run a DAG of a date's logical date at an instant and return the state in which the run ended.

        Raises CannotCompare: the run did not come to an end.
        """
        self.environment["SETTLEMENT_NOW"] = now.isoformat()
        order = {
            "environment": self.environment,
            "dag": dag,
            "logical_date": datetime.combine(on, clock_time(), now.tzinfo).isoformat(),
            "run_after": now.isoformat(),
            "conf": conf,
        }
        _open(self.process.stdin).write(json.dumps(order) + "\n")
        _open(self.process.stdin).flush()
        return str(self.answer()["state"])

    def answer(self) -> dict[str, Any]:
        """Return what the process says next.

        Raises CannotCompare: it says that it failed, or nothing more.
        """
        line = _open(self.process.stdout).readline()
        said: dict[str, Any] = json.loads(line) if line else {"error": "the process ended"}
        if "error" in said:
            raise CannotCompare(f"A DAG could not be run: {said['error']}; see [{self.log}]")
        return said


def _open(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def _clean(more: dict[str, str]) -> dict[str, str]:
    """Return the environment of this process without what it knows of an Airflow, a product or a Python of its own."""
    foreign = ("AIRFLOW", "SETTLEMENT_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | more
