"""The past that the benchmark makes in the server: the books that so many settled dates would have left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from settlement import wiring
from settlement.stages import close
from settlement_lab.servers import embedded

from benchmarks import day, history, world

from .conftest import LendingCore

NOT_MADE = {
    "what stands between us and the bank is explained item by item",
    "balances are the sums of their postings",
    "totals of a day are the sums of its shares",
    "days are at their newest revision, and closed if that is certified",
    "frozen inputs are those that their revision was computed with",
    "frozen inputs are in the store, as they were frozen",
}
"""What a past that is made and not settled leaves out: of the bank, of held credits' entries, and what days froze."""


def test_a_past_is_proven_and_goes_on(
    postgres: embedded.Server,
    new_database: Callable[..., str],
    migrated_template: str,
    lending_core: LendingCore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = new_database(template=migrated_template)
    core = lending_core.owner_url.replace("lending_core@", f"{embedded.SUPERUSER}@")
    past = history.load(core, postgres.url(name, user=embedded.SUPERUSER), 2000, 21)
    assert [len(past.dates), past.dates[-1].isoformat(), world.ON.isoformat()] == [21, "2026-03-09", "2026-03-10"]

    for variable in ("SETTLEMENT_POLICY", "SETTLEMENT_SNAPSHOTS", "SETTLEMENT_NOW",
                     "AIRFLOW_CONN_LENDING_CORE", "AIRFLOW_CONN_SETTLEMENT_DB"):  # fmt: skip
        monkeypatch.setenv(variable, "")  # which the benchmark sets, and is set back
    timings = day.run(
        lending_core.url, postgres.url(name, user="settlement"), tmp_path, stages=("extract", "compute_and_post")
    )
    assert timings["said"]["extract"]["repayments"] == 8
    with wiring.services() as services:
        found = close.verify(services)
    assert {one["check"] for one in found} == NOT_MADE
    assert [one for one in found if world.ON.isoformat() in one["row"]] == []
