"""A rehearsal finds what it is for: it plays without a violation, and no planted bug survives it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from settlement.cli import app
from settlement.demo import embedded
from settlement.rehearse import drive
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
def test_a_planted_bug_is_caught(postgres: embedded.Server, tmp_path: Path, bug: str) -> None:
    for seed in range(1, 9):
        summary = drive.rehearse(seed, 25, home=tmp_path / f"seed_{seed}", server=postgres, serve=PLANTED[bug])
        if summary.violations:
            return
    pytest.fail(f"[{bug}] survived 8 seeds of 25 days")
