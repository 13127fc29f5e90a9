"""The operator's pages in a browser on a real Airflow, for three people: about ten minutes on two cores.

Needs `chromium` (CHROMIUM names another one) and `npm`, which fetches playwright-core and axe-core into the test's own
folder. `SETTLEMENT_PICTURES` names a folder in which pictures of the pages are kept.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import httpx
import pytest

from . import up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SCRIPT = Path(__file__).parent / "ui" / "pages.mjs"
PACKAGES = ("playwright-core@1.65.1", "axe-core@4.14.1")


def waits_for_approval(demo: up.Up) -> bool:
    with httpx.Client(base_url=demo.airflow, trust_env=False, timeout=30) as client:
        login = {"username": "viewer", "password": demo.passwords["viewer"]}
        token = client.post("/auth/token", json=login).json()["access_token"]
        page = client.get("/settlement/gate", headers={"Authorization": f"Bearer {token}"})
    return "required_actions" in page.text


def test_three_people_walk_every_page_in_both_languages_and_nothing_is_wrong(tmp_path: Path) -> None:
    with up.running(tmp_path) as demo:
        up.wait_until(lambda: waits_for_approval(demo), 600)
        subprocess.run(["npm", "install", "--silent", *PACKAGES], cwd=tmp_path, check=True)
        axe = str(tmp_path / "node_modules" / "axe-core" / "axe.min.js")
        wrong = {}
        for user in ("viewer", "maker", "checker"):
            pictures = (
                [os.environ["SETTLEMENT_PICTURES"]] if user == "maker" and "SETTLEMENT_PICTURES" in os.environ else []
            )
            walk = ["node", str(SCRIPT), demo.airflow, user, demo.passwords[user], axe, *pictures]
            said = subprocess.run(walk, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=600).stdout
            wrong[user] = said.splitlines()
        assert wrong == {"viewer": [], "maker": [], "checker": []}
