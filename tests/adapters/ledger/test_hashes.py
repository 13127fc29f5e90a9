"""What came later changes no hash of a day that has nothing of it: days settled before can be computed again."""

from __future__ import annotations

from pathlib import Path

from settlement.adapters.ledger.outcomes.repository import digest
from settlement.adapters.snapshots import ParquetSnapshots
from settlement.domain import frames

from tests.domain.stories import day, inputs

# Of the worked day, as the version before refunds computed them.
OUTPUT = "1fc45365c399c72b804220f7ef6b349e2fc9f9e73a9cf783af902a14d2538859"
INPUT = "9ad98b069e63e90dffaa8f4b15823712ae8e86266845f5f547bcc3c79786eb0e"
REFUND = ("F1", "L1", "KRW", 5_000, "2026-02-16T12:00:00+09:00", "new")


def test_a_day_without_refunds_has_the_hash_that_it_had_before_there_were_any() -> None:
    assert digest([day()]) == OUTPUT
    assert digest([day(refunds=[REFUND])]) != OUTPUT


def test_inputs_without_refunds_are_frozen_as_before_and_are_read_back_with_none(tmp_path: Path) -> None:
    store = ParquetSnapshots(tmp_path)
    assert store.freeze("before", inputs()) == INPUT
    assert store.load("before", input_sha256=INPUT).refunds.equals(frames.build(frames.REFUNDS))
    assert store.table("before", "refunds", input_sha256=INPUT).empty


def test_inputs_with_refunds_are_read_back_with_them(tmp_path: Path) -> None:
    store, given = ParquetSnapshots(tmp_path), inputs(refunds=[REFUND])
    sha256 = store.freeze("with", given)
    assert sha256 != INPUT
    assert store.load("with", input_sha256=sha256).refunds.equals(given.refunds)
