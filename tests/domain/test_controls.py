"""Every control is fed the smallest false thing that it exists for, and is the only one that says so."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from settlement.domain import controls, frames
from settlement.domain.controls import Custody
from settlement.domain.errors import Broken
from settlement.domain.frames import Outcome

from .stories import day

KRW = "KRW"
COST = ("C1", "L1", 1, "cost", "2026-02-16", 1_000, 0)
INTEREST = ("I1", "L1", 1, "interest", "2026-02-16", 10_000, 0)
TRUE = day(receivables=[COST, INTEREST])


def added(frame: pd.DataFrame, column: str, change: int, *, row: int = 0) -> pd.DataFrame:
    """Return the frame with one value changed by one amount."""
    values = frame[column].copy()
    values.iloc[row] += change
    return frame.assign(**{column: values})


def without(frame: pd.DataFrame, column: str, value: int) -> pd.DataFrame:
    return frame[frame[column] != value]


def with_share(outcome: Outcome, allocation_no: int) -> Outcome:
    """Return the outcome with one more share, like the first, of this allocation."""
    return replace(
        outcome, shares=pd.concat([outcome.shares, outcome.shares.iloc[:1].assign(allocation_no=allocation_no)])
    )


SHARES, ENTRIES, POSTINGS, TOTALS = TRUE.shares, TRUE.entries, TRUE.postings, TRUE.totals

# Of the true day: allocation 1 is the cost, allocation 2 the interest with shares of 5000, 3000 and 2000.
CREDITS = TRUE.credits
REFUND = frames.build(frames.TAKEN_REFUNDS, [("F1", "L1", KRW, 5)])

FALSE_OUTCOMES: Sequence[tuple[str, str, Outcome, str]] = [
    (
        "shares_sum_to_allocations",
        "a share is won one won more",
        replace(TRUE, shares=added(added(SHARES, "gross_amount", 1), "net_amount", 1)),
        "allocation [2] of [10000] has shares of [10001]",
    ),
    (
        "shares_sum_to_allocations",
        "an allocation loses its shares",
        replace(TRUE, shares=SHARES.iloc[:0]),
        "allocation [2] of [10000] has shares of [0]",
    ),
    (
        "shares_sum_to_allocations",
        "a cost is shared",
        with_share(TRUE, 1),
        "allocation [1] of [0] has shares of [5000]",
    ),
    (
        "shares_sum_to_allocations",
        "a share is of the allocation before the first",
        with_share(TRUE, 0),
        "share of note [N1] is of no allocation: [0]",
    ),
    (
        "shares_sum_to_allocations",
        "a share is of the allocation after the last",
        with_share(TRUE, 3),
        "share of note [N1] is of no allocation: [3]",
    ),
    (
        "refunds_are_held_credit",
        "a refund takes what is not held",
        replace(TRUE, refunds=REFUND),
        "refunds of loan [L1] take [5], its held credits lose [0]",
    ),
    (
        "refunds_are_held_credit",
        "held credit goes back and nobody asked for it",
        replace(TRUE, credits=CREDITS.assign(amount=-7, event="refunded")),
        "refunds of loan [L1] take [0], its held credits lose [7]",
    ),
    *(
        (
            "shares_add_up",
            f"{column} of a share is one won more",
            replace(TRUE, shares=added(SHARES, column, 1, row=1)),
            "share of note [N2] does not add up",
        )
        for column in ("net_amount", "fee_amount", "vat_amount", "national_tax_amount", "local_tax_amount")
    ),
    (
        "entries_balance",
        "a leg is one won more",
        replace(TRUE, postings=added(POSTINGS, "amount", 1)),
        "entry [1] sums to [1]",
    ),
    (
        "entries_balance",
        "an entry has no legs",
        replace(TRUE, postings=without(POSTINGS, "entry_no", 2)),
        "entry [2] has no postings",
    ),
    (
        "entries_balance",
        "legs have no entry",
        replace(TRUE, entries=without(ENTRIES, "entry_no", 2)),
        "posting to [borrower_credit:L1] is of no entry: [2]",
    ),
    (
        "entries_balance",
        "legs are of the entry before the first",
        replace(TRUE, entries=without(ENTRIES, "entry_no", 1)),
        "posting to [receipts_in_transit] is of no entry: [1]",
    ),
    *(
        (
            "received_is_accounted_for",
            f"{column} of the day is one won more",
            replace(TRUE, totals=added(TOTALS, column, 1)),
            f"[KRW] received [{95_000 + (column == 'received_amount')}],"
            f" accounted for [{95_000 + (column != 'received_amount')}]",
        )
        for column in TOTALS.columns
        if column.endswith("_amount")
    ),
]


def failing(checks: Sequence[Callable[[Any], str | None]], of: Any) -> list[str]:
    return [check.__name__ for check in checks if check(of)]


def test_a_true_day_passes_every_control() -> None:
    assert failing(controls.CONTROLS, TRUE) == []
    controls.check_outcome(TRUE)


@pytest.mark.parametrize(
    ("control", "outcome", "problem"),
    [pytest.param(control, outcome, said, id=what) for control, what, outcome, said in FALSE_OUTCOMES],
)
def test_the_smallest_false_outcome_fails_its_control_and_no_other(
    control: str, outcome: Outcome, problem: str
) -> None:
    assert failing(controls.CONTROLS, outcome) == [control]
    with pytest.raises(Broken) as broken:
        controls.check_outcome(outcome)
    assert (broken.value.control, broken.value.problem) == (control, problem)


def test_every_control_of_an_outcome_is_seen_failing() -> None:
    assert {control for control, _, _, _ in FALSE_OUTCOMES} == {control.__name__ for control in controls.CONTROLS}


RECEIPTS, PAYOUTS, SUSPENSE = ((account, KRW) for account in ("receipts_in_transit", "payouts_in_transit", "suspense"))
STANDING = {RECEIPTS: 700, PAYOUTS: -88_050, SUSPENSE: -40}
TRUE_CUSTODY = Custody(
    currency=KRW, client_bank=50_095_000, closing=50_095_000, unexplained=0, posted=STANDING, items=dict(STANDING)
)
CLOSING = "ledger_bank_is_statement_closing"

FALSE_CUSTODIES: Sequence[tuple[str, str, Custody, str]] = [
    (
        CLOSING,
        "the bank has one won less",
        replace(TRUE_CUSTODY, closing=50_094_999),
        "client_bank stands at [50095000 KRW], the newest statement closes at [50094999], and gaps between statements"
        " explain [0]",
    ),
    (
        CLOSING,
        "a gap explains one won that is not missing",
        replace(TRUE_CUSTODY, unexplained=1),
        "client_bank stands at [50095000 KRW], the newest statement closes at [50095000], and gaps between statements"
        " explain [1]",
    ),
    (
        "receipts_in_transit_are_explained",
        "a receipt is posted with one won more",
        replace(TRUE_CUSTODY, posted=STANDING | {RECEIPTS: 701}),
        "[receipts_in_transit] stands at [701 KRW], its items come to [700]",
    ),
    (
        "receipts_in_transit_are_explained",
        "a receipt of another currency is not posted",
        replace(TRUE_CUSTODY, items=STANDING | {(RECEIPTS[0], "EUR"): 1}),
        "[receipts_in_transit] stands at [0 EUR], its items come to [1]",
    ),
    (
        "receipts_in_transit_are_explained",
        "a receipt of another currency is posted and is no item",
        replace(TRUE_CUSTODY, posted=STANDING | {(RECEIPTS[0], "EUR"): 1}),
        "[receipts_in_transit] stands at [1 EUR], its items come to [0]",
    ),
    (
        "payouts_in_transit_are_explained",
        "a payout is posted with one won more",
        replace(TRUE_CUSTODY, posted=STANDING | {PAYOUTS: -88_051}),
        "[payouts_in_transit] stands at [-88051 KRW], its items come to [-88050]",
    ),
    (
        "suspense_is_explained",
        "a line of one won is in suspense and not posted",
        replace(TRUE_CUSTODY, items=STANDING | {SUSPENSE: -41}),
        "[suspense] stands at [-40 KRW], its items come to [-41]",
    ),
]


def test_true_custody_passes_every_control() -> None:
    assert failing(controls.CUSTODY_CONTROLS, TRUE_CUSTODY) == []
    controls.check_custody(TRUE_CUSTODY)


def test_the_bank_is_compared_once_its_first_statement_has_come() -> None:
    controls.check_custody(replace(TRUE_CUSTODY, closing=None))


def test_what_a_gap_between_statements_moved_is_no_difference() -> None:
    controls.check_custody(replace(TRUE_CUSTODY, closing=50_095_500, unexplained=500))


@pytest.mark.parametrize(
    ("control", "custody", "problem"),
    [pytest.param(control, custody, said, id=what) for control, what, custody, said in FALSE_CUSTODIES],
)
def test_the_smallest_false_custody_fails_its_control_and_no_other(
    control: str, custody: Custody, problem: str
) -> None:
    assert failing(controls.CUSTODY_CONTROLS, custody) == [control]
    with pytest.raises(Broken) as broken:
        controls.check_custody(custody)
    assert (broken.value.control, broken.value.problem) == (control, problem)


def test_every_control_of_custody_is_seen_failing() -> None:
    named = {control.__name__ for control in controls.CUSTODY_CONTROLS}
    assert {control for control, _, _, _ in FALSE_CUSTODIES} == named


MOVED = {"opening": 50_000_000, "came": 95_000, "went": 88_050, "closing": 50_006_950}
INVESTORS = {"opening": 0, "came": 88_050, "went": 88_050, "closing": 0}
TRUE_MOVEMENTS = {"bank KRW": MOVED, "ledger KRW": MOVED, "investors KRW": INVESTORS}

FALSE_MOVEMENTS: Sequence[tuple[str, str, controls.Movements, str]] = [
    (
        "movements_make_the_closing",
        "one won of the investors is gone",
        TRUE_MOVEMENTS | {"investors KRW": INVESTORS | {"closing": -1}},
        "[investors KRW] does not add up: {'opening': 0, 'came': 88050, 'went': 88050, 'closing': -1}",
    ),
    (
        "movements_make_the_closing",
        "the bank's statement closes with one won more than its lines, and the ledger agrees",
        dict.fromkeys(("bank KRW", "ledger KRW"), MOVED | {"closing": 50_006_951}),
        "[bank KRW] does not add up: {'opening': 50000000, 'came': 95000, 'went': 88050, 'closing': 50006951}",
    ),
    (
        "ledger_moves_as_the_bank",
        "one won comes and goes in the ledger, and not at the bank",
        TRUE_MOVEMENTS | {"ledger KRW": MOVED | {"came": 95_001, "went": 88_051}},
        "[bank KRW] says {'opening': 50000000, 'came': 95000, 'went': 88050, 'closing': 50006950},"
        " the ledger {'opening': 50000000, 'came': 95001, 'went': 88051, 'closing': 50006950}",
    ),
    (
        "ledger_moves_as_the_bank",
        "the ledger has nothing at the bank",
        {"bank KRW": MOVED},
        "[bank KRW] says {'opening': 50000000, 'came': 95000, 'went': 88050, 'closing': 50006950},"
        " the ledger {'opening': 0, 'came': 0, 'went': 0, 'closing': 0}",
    ),
    (
        "ledger_moves_as_the_bank",
        "the ledger has one cent at a bank that has none",
        TRUE_MOVEMENTS | {"ledger EUR": {"opening": 1, "came": 0, "went": 0, "closing": 1}},
        "[bank EUR] says {'opening': 0, 'came': 0, 'went': 0, 'closing': 0},"
        " the ledger {'opening': 1, 'came': 0, 'went': 0, 'closing': 1}",
    ),
]


def test_true_movements_pass_every_control() -> None:
    assert failing(controls.MOVEMENT_CONTROLS, TRUE_MOVEMENTS) == []
    controls.check_movements(TRUE_MOVEMENTS)


def test_an_account_on_which_nothing_ever_was_needs_no_balance_in_the_ledger() -> None:
    controls.check_movements(TRUE_MOVEMENTS | {"bank EUR": controls.NOTHING})


@pytest.mark.parametrize(
    ("control", "movements", "problem"),
    [pytest.param(control, movements, said, id=what) for control, what, movements, said in FALSE_MOVEMENTS],
)
def test_the_smallest_false_movement_fails_its_control_and_no_other(
    control: str, movements: controls.Movements, problem: str
) -> None:
    assert failing(controls.MOVEMENT_CONTROLS, movements) == [control]
    with pytest.raises(Broken) as broken:
        controls.check_movements(movements)
    assert (broken.value.control, broken.value.problem) == (control, problem)


def test_every_control_of_movements_is_seen_failing() -> None:
    named = {control.__name__ for control in controls.MOVEMENT_CONTROLS}
    assert {control for control, _, _, _ in FALSE_MOVEMENTS} == named
