"""A rehearsal finds what it is for: it plays without a violation, and no planted bug survives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from settlement.cli import app
from settlement_lab.rehearse import drive
from settlement_lab.servers import embedded
from typer.testing import CliRunner

from .bugs import PLANTED


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_few_bad_days_leave_no_violation() -> None:
    said = CliRunner().invoke(app, ["rehearse", "--seed", "7", "--days", "6", "--json"])
    (summary,) = json.loads(said.stdout)
    assert (said.exit_code, summary["violations"]) == (0, [])
    assert summary["days"] == 10
    assert sum(summary["faults"].values()) > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_caught(
    postgres: embedded.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], bug: str
) -> None:
    for seed in range(1, 9):
        summary = drive.rehearse(seed, 25, home=tmp_path / f"seed_{seed}", server=postgres, serve=PLANTED[bug])
        for violation in summary.violations:
            with capsys.disabled():
                print(f"\n{bug}, caught on day {summary.days + 1} of seed {seed}: {violation}")
            assert "did not end in" not in violation, "a machine that is too slow is no catch"
            return
    pytest.fail(f"[{bug}] survived 8 seeds of 25 days")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_rehearsal_that_is_stopped_leaves_no_folder_and_no_process(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "settlement.cli", "rehearse", "--days", "50"]
    rehearsal = subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("rehearsal-*/seed_1/snapshots_1/*")):  # a day is being settled
            assert rehearsal.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        started = psutil.Process(rehearsal.pid).children(recursive=True)
        assert len(started) > 4
        os.killpg(rehearsal.pid, how)  # as a terminal does
        assert rehearsal.wait(60) == 128 + how
    finally:
        rehearsal.kill()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
    assert list(tmp_path.glob("rehearsal-*")) == []
