"""`settlement restate` that cannot be is refused in a sentence that says what to do, and nothing is half-written."""

from __future__ import annotations

from pathlib import Path

from settlement.cli import app
from settlement.domain.errors import Refused
from typer.testing import CliRunner

from .conftest import Platform
from .payout_stories import NEXT_MORNING, ON, settle, states, use_policy, worked_day
from .test_settled_again import AGAIN, everything, interest_is

FIRST = 'version = "2026-1"\nfirst_settlement_date = 2026-02-16'
SINCE_MARCH = 'tax_class = "individual"\nsettled_from = 2026-03-01'
PAID = [("A", 43790, 1, "accepted"), ("B", 26736, 1, "accepted"), ("C", 17524, 1, "accepted")]


def refused(*arguments: str) -> str:
    """Say `settlement restate`, which has to be refused; return the refusal."""
    said = CliRunner().invoke(app, ["restate", *arguments])
    assert isinstance(said.exception, Refused), said.output
    return str(said.exception)


def test_what_cannot_be_settled_again_is_refused_and_nothing_is_half_written(
    platform: Platform, tmp_path: Path
) -> None:
    use_policy(platform, tmp_path, version=FIRST)
    worked_day(platform)
    settle(platform)
    interest_is(platform, 12_000)
    same, days = everything(platform), platform.rows("select settlement_date, state from ledger.days")

    platform.monkeypatch.setenv("SETTLEMENT_NOW", AGAIN)
    for no_reason in ((), ("--reason", ""), ("--reason", "  ")):
        assert refused(ON, "--by", "maker", *no_reason).startswith(
            "[2026-02-16] is settled and would change for loans [L1], and nobody said why. Trigger the run"
        )

    because = ("--by", "maker", "--reason", "interest was 12 000")
    platform.monkeypatch.setenv("SETTLEMENT_NOW", NEXT_MORNING)
    for never in ("2026-02-19", "2026-02-13", "2026-02-15"):  # not yet, before the first, a Sunday
        for more in ((), ("--dry-run",)):
            assert refused(never, *because, *more).startswith(f"[{never}] was never settled: the run of the DAG")

    use_policy(platform, tmp_path, version=FIRST, tax_class=SINCE_MARCH)
    assert refused(ON, *because).startswith(
        "Settling [2026-02-16] again takes back [88050 KRW] that was paid out, which needs a second person's approval"
    )

    use_policy(platform, tmp_path, version=FIRST, rate_ppm="rate_ppm = 80000.5")
    assert "fees.0.rate_ppm [80000.5]" in refused(ON, *because)
    assert (everything(platform), states(platform)) == (same, PAID)
    assert platform.rows("select settlement_date, state from ledger.days") == days
