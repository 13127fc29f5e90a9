"""What a person sees of the demo in a browser: about four minutes on two cores.

Needs `chromium` (CHROMIUM names another one) and `npm`, which fetches playwright-core into the test's own folder.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SCRIPT = Path(__file__).parent / "ui" / "look.mjs"
PLAYWRIGHT = "playwright-core@1.65.1"
PICTURES = ["dags", "grid", "trigger", "slack"]


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_person_finds_the_days_the_trigger_form_and_the_messages_and_it_stops_cleanly(tmp_path: Path) -> None:
    home, shown = tmp_path / "home", tmp_path / "up.txt"
    with shown.open("wb") as output:
        command = [sys.executable, "-m", "settlement.cli", "up", "--home", str(home)]
        up = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "200"})
    try:
        wait_until(lambda: up.poll() is not None or "environment.sh" in shown.read_text(), 1_200)
        said = shown.read_text()
        airflow, slack = (re.search(rf"{name}\s+(http\S+)", said) for name in ("Airflow", "Slack"))
        assert airflow and slack, said
        passwords = json.loads((home / "airflow" / "passwords.json").read_text())
        assert set(passwords) == {"maker", "checker", "viewer"}
        assert (home / "airflow" / "passwords.json").stat().st_mode & 0o077 == 0
        subprocess.run(["npm", "install", "--silent", PLAYWRIGHT], cwd=tmp_path, check=True)
        look = ["node", str(SCRIPT), airflow[1], "maker", passwords["maker"], slack[1], str(tmp_path)]
        pictures = subprocess.run(look, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=600).stdout
        assert pictures.split() == PICTURES
        assert all((tmp_path / f"{name}.png").stat().st_size > 10_000 for name in PICTURES)
        up.send_signal(signal.SIGINT)
        assert up.wait(180) == 0  # Airflow lets a task that runs end first
        left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert str(home) not in left
    finally:
        up.kill()
        up.wait()
