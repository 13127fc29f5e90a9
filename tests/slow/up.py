"""`settlement up` as a person starts it and ends it: the demo in a home of its own, with Airflow's pages on it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """What it says of itself: where to look, and with which passwords, by user."""

    home: Path
    airflow: str
    slack: str
    passwords: Mapping[str, str]


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


@contextmanager
def running(folder: Path) -> Iterator[Up]:
    """Start it, and end it by Ctrl-C at the end of the `with` block: cleanly, and with nothing left."""
    home, shown = folder / "home", folder / "up.txt"
    with shown.open("wb") as output:
        command = [sys.executable, "-m", "settlement.cli", "up", "--home", str(home)]
        up = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "200"})
    try:
        wait_until(lambda: up.poll() is not None or "environment.sh" in shown.read_text(), 1_200)
        said = shown.read_text()
        airflow, slack = (re.search(rf"{name}\s+(http\S+)", said) for name in ("Airflow", "Slack"))
        assert airflow and slack, said
        kept = home / "airflow" / "passwords.json"
        assert kept.stat().st_mode & 0o077 == 0
        yield Up(home=home, airflow=airflow[1], slack=slack[1], passwords=json.loads(kept.read_text()))
        up.send_signal(signal.SIGINT)
        assert up.wait(180) == 0  # Airflow lets a task that runs end first
        left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert str(home) not in left
    finally:
        up.kill()
        up.wait()
