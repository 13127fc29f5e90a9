"""Small worlds for tests: the worked loan of the contract, and frames built from the rows that a story names."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from settlement.domain import frames, policy
from settlement.domain.computation import settle

DAY = date(2026, 2, 16)
POLICIES = Path(__file__).parents[2] / "include" / "settlement" / "policies"
KR = policy.load(POLICIES / "kr.toml")

LOAN = ("L1", "KRW", "2026-01-15")
NOTES = [("N1", "L1", 500_000, 500_000), ("N2", "L1", 300_000, 300_000), ("N3", "L1", 200_000, 200_000)]
HOLDINGS = [("N1", "A", "2026-01-15", None), ("N2", "B", "2026-01-15", None), ("N3", "C", "2026-01-15", None)]
INVESTORS = [("A", "individual"), ("B", "corporation"), ("C", "individual")]
INTEREST = ("I1", "L1", 1, "interest", "2026-02-16", 10_000, 0)
PRINCIPAL = ("P1", "L1", 1, "principal", "2026-02-16", 80_000, 0)
REPAYMENT = ("R1", "L1", "2026-02-16T11:00:00+09:00", 95_000, None, "new")

SPECS = frames.INPUTS
OUTCOME_FRAMES = tuple(frames.OUTCOME)


def inputs(**rows: Any) -> frames.Inputs:
    """Return the worked world with the frames that the story names in place of its own."""
    defaults: dict[str, Any] = {
        "loans": [LOAN],
        "notes": NOTES,
        "holdings": HOLDINGS,
        "investors": INVESTORS,
        "receivables": [INTEREST, PRINCIPAL],
        "repayments": [REPAYMENT],
    }
    chosen = defaults | rows
    return frames.Inputs(**{name: frames.build(spec, chosen.get(name, ())) for name, spec in SPECS.items()})


def day(rules: policy.Policy = KR, on: date = DAY, **rows: Any) -> frames.Outcome:
    """Return the checked outcome of a story."""
    outcome = settle.settle_day(inputs(**rows), rules, on)
    frames.check_all(outcome)
    return outcome


def rows(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Return the columns of a frame (all by default) as tuples of plain values, None for null."""
    chosen = frame[list(columns)] if columns else frame
    return [
        tuple(None if pd.isna(value) else value for value in row)
        for row in chosen.astype(object).itertuples(index=False)
    ]


def shares(outcome: frames.Outcome) -> list[tuple[Any, ...]]:
    """Return the shares as (repayment, receivable, note, investor, gross, fee, vat, national, local, net)."""
    wide = frames.widen(outcome.shares, outcome.allocations)
    return rows(wide.drop(columns=["allocation_no", "loan_id", "currency", "component"]))


def gross(outcome: frames.Outcome) -> list[tuple[Any, ...]]:
    """Return the shares as (repayment, receivable, note, investor, gross)."""
    return [share[:5] for share in shares(outcome)]


def journal(outcome: frames.Outcome) -> list[tuple[Any, ...]]:
    """Return the postings as (event, repayment, account, amount)."""
    joined = outcome.postings.merge(outcome.entries, how="left", on="entry_no", validate="many_to_one")
    return rows(joined, "event", "repayment_id", "account", "amount")


def totals(outcome: frames.Outcome) -> dict[str, int]:
    """Return the totals of a day in one currency, without what is 0."""
    (row,) = outcome.totals.to_dict("records")
    return {str(name).removesuffix("_amount"): value for name, value in row.items() if name != "currency" and value}


def same(left: frames.Outcome, right: frames.Outcome) -> None:
    """Assert that two outcomes are equal in every frame, value by value."""
    for name in OUTCOME_FRAMES:
        pd.testing.assert_frame_equal(getattr(left, name), getattr(right, name), check_categorical=False, obj=name)


def allocated(outcome: frames.Outcome) -> list[tuple[Any, ...]]:
    """Return the allocations as (repayment, receivable, amount)."""
    return rows(outcome.allocations, "repayment_id", "receivable_id", "amount")


def outcomes(outcome: frames.Outcome) -> dict[str, str]:
    """Return what became of each repayment and reversal."""
    return dict(rows(outcome.repayments, "repayment_id", "outcome"))


def under(rules: policy.Policy, **changes: Any) -> policy.Policy:
    """Return a policy with some of its tables changed, validated again."""
    table = rules.model_dump(mode="python")
    for name, value in changes.items():
        table[name] = table[name] | value if isinstance(table[name], dict) else value
    return policy.Policy.model_validate(table)


def history(*outcomes_so_far: frames.Outcome) -> dict[str, Any]:
    """Return prior_allocations, prior_shares and prior_entries of earlier days; ids go on from 100 a day."""
    allocations, shared, entries = [], [], []
    for number, outcome in enumerate(outcomes_so_far, start=1):
        base = 100 * number
        allocations.append(outcome.allocations.rename(columns={"allocation_no": "allocation_id"}))
        allocations[-1]["allocation_id"] += base
        shared.append(outcome.shares.rename(columns={"allocation_no": "allocation_id"}))
        shared[-1]["allocation_id"] += base
        posted = outcome.postings.merge(outcome.entries, how="left", on="entry_no", validate="many_to_one")
        posted = posted[posted["event"] != "repayment_reversed"].rename(columns={"entry_no": "entry_id"})
        posted["entry_id"] += base
        entries.append(posted)
    frames_of = {"prior_allocations": allocations, "prior_shares": shared, "prior_entries": entries}
    return {name: pd.concat(parts)[SPECS[name].column_names].to_dict("records") for name, parts in frames_of.items()}
