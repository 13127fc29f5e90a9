"""The operator's pages in a browser on a real Airflow, for three people: about six minutes on two cores.

Needs `chromium` (CHROMIUM names another one) and `npm`, which fetches playwright-core and axe-core into the test's own
folder. `SETTLEMENT_PICTURES` names a folder in which pictures of the pages are kept.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SCRIPT = Path(__file__).parent / "ui" / "pages.mjs"
PACKAGES = ("playwright-core@1.65.1", "axe-core@4.14.1")


def waits_for_approval(airflow: str, password: str) -> bool:
    with httpx.Client(base_url=airflow, trust_env=False, timeout=30) as client:
        token = client.post("/auth/token", json={"username": "viewer", "password": password}).json()["access_token"]
        page = client.get("/settlement/gate", headers={"Authorization": f"Bearer {token}"})
    return "required_actions" in page.text


def test_three_people_walk_every_page_in_both_languages_and_nothing_is_wrong(tmp_path: Path) -> None:
    home, shown = tmp_path / "home", tmp_path / "up.txt"
    with shown.open("wb") as output:
        command = [sys.executable, "-m", "settlement.cli", "up", "--home", str(home)]
        up = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "200"})
    try:
        deadline = time.monotonic() + 1_200
        while "environment.sh" not in shown.read_text():
            assert up.poll() is None and time.monotonic() < deadline, shown.read_text()
            time.sleep(0.5)
        found = re.search(r"Airflow\s+(http\S+)", shown.read_text())
        assert found
        passwords = json.loads((home / "airflow" / "passwords.json").read_text())
        while not waits_for_approval(found[1], passwords["viewer"]):
            assert time.monotonic() < deadline
            time.sleep(2)
        subprocess.run(["npm", "install", "--silent", *PACKAGES], cwd=tmp_path, check=True)
        axe = str(tmp_path / "node_modules" / "axe-core" / "axe.min.js")
        wrong = {}
        for user in ("viewer", "maker", "checker"):
            pictures = (
                [os.environ["SETTLEMENT_PICTURES"]] if user == "maker" and "SETTLEMENT_PICTURES" in os.environ else []
            )
            walk = ["node", str(SCRIPT), found[1], user, passwords[user], axe, *pictures]
            said = subprocess.run(walk, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=600).stdout
            wrong[user] = said.splitlines()
        assert wrong == {"viewer": [], "maker": [], "checker": []}
        up.send_signal(signal.SIGINT)
        assert up.wait(180) == 0
    finally:
        up.kill()
        up.wait()
