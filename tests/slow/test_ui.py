"""What a person sees of the demo in a browser: about four minutes on two cores.

Needs `chromium` (CHROMIUM names another one) and `npm`, which fetches playwright-core into the test's own folder.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from . import up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SCRIPT = Path(__file__).parent / "ui" / "look.mjs"
PLAYWRIGHT = "playwright-core@1.65.1"
PICTURES = ["dags", "grid", "trigger", "slack"]


def test_a_person_finds_the_days_the_trigger_form_and_the_messages_and_it_stops_cleanly(tmp_path: Path) -> None:
    with up.running(tmp_path) as demo:
        assert set(demo.passwords) == {"maker", "checker", "viewer"}
        subprocess.run(["npm", "install", "--silent", PLAYWRIGHT], cwd=tmp_path, check=True)
        look = ["node", str(SCRIPT), demo.airflow, "maker", demo.passwords["maker"], demo.slack, str(tmp_path)]
        pictures = subprocess.run(look, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=600).stdout
        assert pictures.split() == PICTURES
        assert all((tmp_path / f"{name}.png").stat().st_size > 10_000 for name in PICTURES)
