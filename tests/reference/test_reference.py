"""The reference engine against the rules: every expected amount here was worked by hand, clause by clause."""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from settlement.domain.policy import Policy

from .reference import Reference, Result, prorate, withhold
from .rows import FRI, HOLIDAY, MON, NEXT_MON, SIMPLE, THU, TUE, WED, held, is_business_day, loan, note, owed, paid
from .world import Fact, Investor, Repayment, World
from .worlds import kr_policy
from .worlds import story as random_story

VECTORS = Path(__file__).parents[1] / "vectors"


def reference(*rows: Any, policy: Policy | None = None, **changes: Any) -> Reference:
    facts = tuple(row if isinstance(row, Fact) else Fact(row) for row in rows)
    return Reference(World(facts, (), is_business_day), policy or kr_policy(**changes))


def run(*rows: Any, on: Iterable[date] = (MON,), **changes: Any) -> Result:
    """Play the dates in order and return the result of the last."""
    engine = reference(*rows, **changes)
    return [engine.run(date) for date in on][-1]


def allocated(result: Result) -> list[tuple[str, str, int]]:
    return [(a.repayment_id, a.receivable_id, a.amount) for a in result.allocations]


def shared(result: Result) -> list[tuple[str, str, int]]:
    return [(s.note_id, s.investor_id, s.gross) for s in result.shares]


def events(result: Result) -> list[tuple[str, str]]:
    return [(entry.event, entry.repayment_id) for entry in result.entries]


def rules(result: Result) -> list[tuple[str, str]]:
    return [(row.repayment_id, row.rule) for row in result.quarantined]


def vector(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((VECTORS / name).read_text().splitlines()))


# --- the worked day and the vectors -------------------------------------------------------------------------


def the_worked_day() -> Result:
    return run(
        loan(),
        note("N1", 500_000),
        note("N2", 300_000),
        note("N3", 200_000),
        held("N1", "A"),
        held("N2", "B"),
        held("N3", "C"),
        Investor(investor_id="A", tax_class="individual"),
        Investor(investor_id="B", tax_class="corporation"),
        Investor(investor_id="C", tax_class="individual"),
        owed("i", "interest", 10_000, "2026-02-16"),
        owed("p", "principal", 80_000, "2026-02-16"),
        paid("R", 95_000, "2026-02-16"),
        on=[date(2026, 2, 16)],
    )


def test_the_worked_day_comes_out_as_worked_by_hand() -> None:
    result = the_worked_day()
    assert allocated(result) == [("R", "i", 10_000), ("R", "p", 80_000)]
    assert [(s.note_id, s.gross, s.fee, s.vat, s.national, s.local, s.net) for s in result.shares] == [
        ("N1", 5_000, 400, 40, 700, 70, 3_790),
        ("N2", 3_000, 240, 24, 0, 0, 2_736),
        ("N3", 2_000, 160, 16, 280, 20, 1_524),
        ("N1", 40_000, 0, 0, 0, 0, 40_000),
        ("N2", 24_000, 0, 0, 0, 0, 24_000),
        ("N3", 16_000, 0, 0, 0, 0, 16_000),
    ]
    assert [(e.event, e.postings) for e in result.entries] == [
        ("repayment_extracted", {"receipts_in_transit": 95_000, "repayments_unallocated": -95_000}),
        (
            "repayment_distributed",
            {
                "repayments_unallocated": 95_000,
                "investor_payable:A": -43_790,
                "investor_payable:B": -26_736,
                "investor_payable:C": -17_524,
                "fee_income": -800,
                "vat_payable": -80,
                "tax_payable:national": -980,
                "tax_payable:local": -90,
                "borrower_credit:L1": -5_000,
            },
        ),
    ]
    total = result.totals["KRW"]
    assert (total.received, total.distributed, total.fee, total.vat) == (95_000, 88_050, 800, 80)
    assert (total.national, total.local, total.cost, total.credit, total.quarantined) == (980, 90, 0, 5_000, 0)
    assert result.breaks == {("overpaid", "L1"): 5_000}
    assert [(c.repayment_id, c.amount) for c in result.credits] == [("R", 5_000)]


@pytest.mark.parametrize("row", vector("prorate.csv"), ids=lambda row: row["weights"])
def test_prorate_follows_the_vectors(row: dict[str, str]) -> None:
    weights = [int(weight) for weight in row["weights"].split(":")]
    assert prorate(int(row["amount"]), weights) == [int(share) for share in row["shares"].split(":")]


@pytest.mark.parametrize("row", vector("withholding.csv"), ids=lambda row: row["interest"])
def test_withholding_follows_the_vectors(row: dict[str, str]) -> None:
    interest = int(row["interest"])
    assert withhold(interest, 140_000, 0, 10, 100_000) == (int(row["national_14"]), int(row["local_14"]))
    assert withhold(interest, 250_000, 0, 10, 100_000) == (int(row["national_25"]), int(row["local_25"]))


# --- §1 the day ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "at", "settled_on"),
    [
        (FRI, "23:59:59.999999", FRI),
        ("2026-03-07", "00:00", NEXT_MON),
        ("2026-03-08", "12:00", NEXT_MON),
        (NEXT_MON, "23:59", NEXT_MON),
        (HOLIDAY, "00:00", date(2026, 3, 11)),
    ],
)
def test_money_of_a_weekend_or_holiday_belongs_to_the_next_business_day(
    on: str | date, at: str, settled_on: date
) -> None:
    assert reference().settlement_date_of(paid("R", 1, on, at).received_at) == settled_on


def test_the_cut_off_itself_belongs_to_the_next_day() -> None:
    engine = reference(cut_off="17:00")
    assert engine.settlement_date_of(paid("R", 1, TUE, "16:59:59.999999").received_at) == TUE
    assert engine.settlement_date_of(paid("R", 1, TUE, "17:00").received_at) == WED
    assert engine.settlement_date_of(paid("R", 1, FRI, "17:00").received_at) == NEXT_MON
    assert [instant.isoformat() for instant in engine.window(NEXT_MON)] == [
        "2026-03-06T08:00:00+00:00",
        "2026-03-09T08:00:00+00:00",
    ]


def test_a_late_arrival_is_settled_by_the_next_run_and_carries_its_date() -> None:
    rows = (*SIMPLE, owed("p", "principal", 100), Fact(paid("R", 100, MON), from_run=1))
    assert allocated(run(*rows, on=[MON])) == []
    result = run(*rows, on=[MON, TUE])
    assert [(a.settlement_date, a.amount) for a in result.allocations] == [(TUE, 100)]
    assert allocated(run(*rows, on=[MON, TUE, WED])) == []


def test_a_window_that_was_never_settled_waits_for_its_own_run() -> None:
    rows = (*SIMPLE, owed("p", "principal", 100), paid("R", 100, TUE))
    assert allocated(run(*rows, on=[MON, WED])) == []


def test_repayments_are_taken_by_instant_and_then_by_id_bytewise() -> None:
    result = run(
        *SIMPLE,
        owed("p", "principal", 500),
        paid("a", 1, MON, "12:00"),
        paid("B", 2, MON, "12:00"),
        paid("z", 4, MON, "11:59"),
    )
    assert allocated(result) == [("z", "p", 4), ("B", "p", 2), ("a", "p", 1)]


# --- §2 cash application ------------------------------------------------------------------------------------

SCHEDULE = (
    owed("p1", "principal", 100, "2026-02-01", no=1),
    owed("i1", "interest", 10, "2026-02-01", no=1),
    owed("l1", "late_interest", 5, "2026-02-20", no=1),
    owed("c1", "cost", 3, "2026-03-01", no=1),
    owed("p2", "principal", 100, "2026-03-01", no=2),
    owed("i2", "interest", 20, "2026-03-01", no=2),
    owed("p3", "principal", 100, "2026-04-01", no=3),
)


def test_across_components_pays_every_cost_then_interest_before_any_principal() -> None:
    result = run(*SIMPLE, *SCHEDULE, paid("R", 90, MON))
    assert allocated(result) == [("R", "c1", 3), ("R", "l1", 5), ("R", "i1", 10), ("R", "i2", 20), ("R", "p1", 52)]


def test_across_instalments_pays_the_oldest_due_date_first() -> None:
    result = run(*SIMPLE, *SCHEDULE, paid("R", 190, MON), waterfall={"across": "installment"})
    assert allocated(result) == [
        ("R", "i1", 10),
        ("R", "p1", 100),
        ("R", "l1", 5),
        ("R", "c1", 3),
        ("R", "i2", 20),
        ("R", "p2", 52),
    ]


def test_within_a_component_the_due_date_decides_then_the_instalment_then_the_id() -> None:
    result = run(
        *SIMPLE,
        owed("b", "principal", 1, "2026-02-02", no=2),
        owed("a", "principal", 1, "2026-02-02", no=2),
        owed("c", "principal", 1, "2026-02-02", no=1),
        owed("d", "principal", 1, "2026-02-01", no=9),
        paid("R", 4, MON),
    )
    assert [receivable for _, receivable, _ in allocated(result)] == ["d", "c", "a", "b"]


def test_what_is_left_is_held_and_taken_first_by_every_later_run() -> None:
    rows = (*SIMPLE, *SCHEDULE, paid("R", 300, MON), paid("S", 30, "2026-04-01"))
    first = run(*rows, on=[MON])
    assert [(c.repayment_id, c.amount) for c in first.credits] == [("R", 62)]
    assert first.breaks == {}, "an instalment is still to come"
    later = run(*rows, on=[MON, date(2026, 4, 1)])
    assert allocated(later) == [("R", "p3", 62), ("S", "p3", 30)]
    assert events(later) == [("credit_applied", "R"), ("repayment_extracted", "S"), ("repayment_distributed", "S")]
    assert later.entries[0].postings == {"borrower_credit:L1": 62, "investor_payable:LEND": -62}
    assert later.totals["KRW"].credit == -62 and later.totals["KRW"].received == 30


def test_credits_are_taken_in_the_order_in_which_they_came_to_be_held() -> None:
    rows = (*SIMPLE, owed("p", "principal", 12, FRI), paid("z", 5, MON), paid("b", 5, TUE, "10:00"), paid("a", 5, TUE))
    assert allocated(run(*rows, on=[MON, TUE, FRI])) == [("z", "p", 5), ("b", "p", 5), ("a", "p", 2)]


def test_excess_may_advance_principal_that_is_not_yet_due() -> None:
    rows = (*SIMPLE, owed("p2", "principal", 30, THU, no=2), owed("i2", "interest", 9, THU, no=2), paid("R", 50, MON))
    result = run(*rows, owed("p3", "principal", 7, WED, no=3), waterfall={"excess": "advance_principal"})
    assert allocated(result) == [("R", "p3", 7), ("R", "p2", 30)]
    assert [(c.repayment_id, c.amount) for c in result.credits] == [("R", 13)]


def test_excess_may_advance_everything_that_is_not_yet_due_by_instalment() -> None:
    rows = (*SIMPLE, owed("p2", "principal", 30, THU, no=2), owed("i2", "interest", 9, THU, no=2), paid("R", 50, MON))
    result = run(*rows, owed("p3", "principal", 7, WED, no=3), waterfall={"excess": "advance"})
    assert allocated(result) == [("R", "p3", 7), ("R", "i2", 9), ("R", "p2", 30)]
    assert [(c.repayment_id, c.amount) for c in result.credits] == [("R", 4)]


def test_a_credit_with_nothing_left_to_pay_is_overpaid() -> None:
    rows = (*SIMPLE, owed("p", "principal", 10), paid("R", 15, MON))
    assert run(*rows).breaks == {("overpaid", "L1"): 5}
    assert run(*rows, owed("i", "interest", 1, "2027-01-01")).breaks == {}


def test_a_receivable_lowered_below_what_it_was_paid_is_not_open() -> None:
    p = owed("p", "principal", 10)
    rows = (*SIMPLE, Fact(p, until_run=1), Fact(owed("p", "principal", 4), from_run=1))
    result = run(*rows, owed("q", "principal", 9, TUE), paid("R", 10, MON), paid("S", 5, TUE), on=[MON, TUE])
    assert allocated(result) == [("S", "q", 5)]


# --- §2 reversals -------------------------------------------------------------------------------------------

SALE = (
    loan(),
    note("N1", 1_000_000),
    held("N1", "IND", until=TUE),
    held("N1", "CORP", str(TUE)),
    *SIMPLE[3:],
    owed("i", "interest", 10_000),
    owed("p", "principal", 100),
)


def test_a_reversal_negates_the_rows_at_their_original_amounts_taxes_and_holders() -> None:
    rows = (*SALE, paid("R", 10_500, MON), paid("X", 10_500, WED, undoes="R"))
    result = run(*rows, on=[MON, TUE, WED])
    assert allocated(result) == [("X", "i", -10_000), ("X", "p", -100)]
    assert [(s.investor_id, s.gross, s.fee, s.vat, s.national, s.local, s.net) for s in result.shares] == [
        ("IND", -10_000, -800, -80, -1_400, -140, -7_580),
        ("IND", -100, 0, 0, 0, 0, -100),
    ]
    assert result.credits == [] and result.balances == {}
    assert events(result) == [("repayment_reversed", "X"), ("repayment_reversed", "X")]
    assert [entry.reverses for entry in result.entries] == [0, 1]
    assert result.totals["KRW"].received == -10_500 and result.totals["KRW"].credit == -400


def test_a_reversed_receivable_is_open_again_and_the_note_outstanding_again() -> None:
    rows = (*SALE, paid("R", 10_100, MON), paid("X", 10_100, TUE, "10:00", undoes="R"), paid("S", 10_100, TUE))
    result = run(*rows, on=[MON, TUE])
    assert allocated(result)[2:] == [("S", "i", 10_000), ("S", "p", 100)]
    assert [s.investor_id for s in result.shares] == ["IND", "IND", "CORP", "CORP"]


def test_a_reversal_also_undoes_what_the_credit_of_its_repayment_paid() -> None:
    rows = (*SIMPLE, owed("a", "principal", 10), owed("b", "principal", 10, TUE), paid("R", 25, MON))
    result = run(*rows, paid("X", 25, WED, undoes="R"), on=[MON, TUE, WED])
    assert allocated(result) == [("X", "a", -10), ("X", "b", -10)]
    assert len(result.entries) == 3 and result.balances == {} and result.credits == []


def test_a_reversal_undoes_what_this_very_run_paid_from_the_credit() -> None:
    rows = (*SIMPLE, owed("b", "principal", 10, TUE), paid("R", 25, MON), paid("X", 25, TUE, undoes="R"))
    result = run(*rows, on=[MON, TUE])
    assert allocated(result) == [("R", "b", 10), ("X", "b", -10)]
    assert result.balances == {}


def test_an_original_earlier_in_the_same_run_settles_first_and_both_show() -> None:
    rows = (*SIMPLE, owed("p", "principal", 10), paid("R", 10, MON, "10:00"), paid("X", 10, MON, undoes="R"))
    result = run(*rows)
    assert allocated(result) == [("R", "p", 10), ("X", "p", -10)]
    assert [(o.repayment_id, o.outcome) for o in sorted(result.outcomes, key=str)] == [
        ("R", "settled"),
        ("X", "reversal"),
    ]
    assert result.totals["KRW"].received == 0 and result.totals["KRW"].count == 2


def test_other_repayments_are_not_recomputed() -> None:
    rows = (*SIMPLE, owed("i", "interest", 10), owed("p", "principal", 10), paid("R", 10, MON), paid("S", 10, TUE))
    result = run(*rows, paid("X", 10, WED, undoes="R"), on=[MON, TUE, WED])
    assert allocated(result) == [("X", "i", -10)]
    assert result.balances["investor_payable:LEND", "KRW"] == -10


def test_a_reversal_before_its_original_in_the_run_cancels_both() -> None:
    rows = (*SIMPLE, owed("p", "principal", 10), paid("X", 10, MON, "10:00", undoes="R"), paid("R", 10, MON))
    result = run(*rows)
    assert (allocated(result), events(result), result.totals) == ([], [], {})
    assert {o.outcome for o in result.outcomes} == {"cancelled"}


def test_a_reversal_cancels_an_original_whose_window_is_not_settled_yet() -> None:
    rows = (*SIMPLE, owed("p", "principal", 10), paid("X", 10, MON, undoes="R"), paid("R", 10, TUE))
    assert [o.outcome for o in run(*rows).outcomes] == ["cancelled", "cancelled"]
    assert events(run(*rows, on=[MON, TUE, WED])) == []


def test_a_reversal_of_a_quarantined_repayment_cancels_it_and_reverses_its_extraction() -> None:
    rows = (loan(), owed("p", "principal", 10), paid("R", 10, MON), paid("X", 10, TUE, undoes="R"))
    assert rules(run(*rows)) == [("R", "no_notes")]
    result = run(*rows, on=[MON, TUE])
    assert events(result) == [("repayment_reversed", "X")]
    assert [row.repayment_id for row in result.released] == ["R"]
    assert result.totals["KRW"].received == result.totals["KRW"].quarantined == -10
    assert result.balances == {} and result.breaks == {}


def test_a_repayment_quarantined_and_cancelled_in_one_run_keeps_its_row_released_that_day() -> None:
    rows = (loan(), paid("R", 10, MON, "10:00"), paid("X", 10, MON, undoes="R"), paid("S", 7, MON, "12:00"))
    result = run(*rows)
    assert [(q.repayment_id, q.released_on) for q in result.quarantined] == [("R", MON), ("S", None)]
    assert events(result) == [
        ("repayment_extracted", "R"),
        ("repayment_reversed", "X"),
        ("repayment_extracted", "S"),
    ]
    assert result.breaks == {("quarantined", "L1"): 7}


def test_a_reversal_is_applied_even_when_its_loan_is_quarantined() -> None:
    rows = (*SIMPLE, owed("p", "principal", 10), Fact(owed("q", "fine", 1), from_run=1), paid("R", 15, MON))
    result = run(*rows, paid("X", 15, TUE, undoes="R"), paid("S", 4, TUE, "12:00"), on=[MON, TUE])
    assert allocated(result) == [("X", "p", -10)]
    assert rules(result) == [("S", "unknown_component")]
    assert result.balances == {("receipts_in_transit", "KRW"): 4, ("repayments_unallocated", "KRW"): -4}


@pytest.mark.parametrize(
    "bad",
    [
        paid("X", 11, TUE, undoes="R"),
        paid("X", 10, TUE, undoes="R", loan_id="L2"),
        paid("X", 10, TUE, undoes="missing"),
        paid("X", 10, TUE, undoes="Y"),
        paid("X", 10, TUE, undoes="S"),
    ],
    ids=["amount", "loan", "missing", "a reversal", "reversed already"],
)
def test_a_bad_reversal_is_quarantined_alone_and_in_no_total(bad: Repayment) -> None:
    rows = (*SIMPLE, loan("L2"), owed("p", "principal", 30), paid("R", 10, MON), paid("S", 10, MON))
    result = run(*rows, paid("Y", 10, TUE, "10:00", undoes="S"), paid("T", 5, TUE, "12:00"), bad, on=[MON, TUE])
    assert rules(result) == [("X", "bad_reversal")]
    assert allocated(result) == [("Y", "p", -10), ("T", "p", 5)]
    assert result.breaks == {("bad_reversal", "X"): bad.amount}
    assert (result.totals["KRW"].received, result.totals["KRW"].quarantined) == (-5, 0)


def test_a_bad_reversal_is_tried_again_and_released_when_its_original_appears() -> None:
    rows = (*SIMPLE, owed("p", "principal", 10), Fact(paid("R", 10, MON), from_run=1), paid("X", 10, MON, undoes="R"))
    assert rules(run(*rows)) == [("X", "bad_reversal")]
    result = run(*rows, on=[MON, TUE])
    assert allocated(result) == [("R", "p", 10), ("X", "p", -10)]
    assert [row.repayment_id for row in result.released] == ["X"] and result.breaks == {}


# --- §3 distribution ----------------------------------------------------------------------------------------

TWO = (loan(), note("N1", 300), note("N2", 100), held("N1", "LEND"), held("N2", "IND"), *SIMPLE[3:])


def test_cost_belongs_to_the_platform() -> None:
    result = run(*TWO, owed("c", "cost", 9), paid("R", 9, MON))
    assert result.shares == []
    assert result.entries[1].postings == {"repayments_unallocated": 9, "cost_recovered": -9}
    assert result.totals["KRW"].cost == 9


def test_interest_weighs_what_was_outstanding_before_the_repayment_was_taken() -> None:
    rows = (
        loan(),
        note("N1", 3),
        note("N2", 1),
        held("N1", "LEND"),
        held("N2", "IND"),
        *SIMPLE[3:],
        owed("p", "principal", 1, no=1),
        owed("i", "interest", 4, TUE, no=2),
    )
    # The single won of principal goes to N1 (remainder 3 of 4), which leaves 2 : 1. Interest in the same repayment
    # weighs 3 : 1; interest of a second repayment weighs 2 : 1, so 4 is 2.67 : 1.33 and the odd won is N1's.
    together = run(*rows, paid("R", 5, TUE), on=[TUE], waterfall={"across": "installment"})
    assert shared(together) == [("N1", "LEND", 1), ("N1", "LEND", 3), ("N2", "IND", 1)]
    apart = run(*rows, paid("R", 1, TUE), paid("S", 2, TUE, "12:00"), on=[TUE], waterfall={"across": "installment"})
    assert shared(apart) == [("N1", "LEND", 1), ("N1", "LEND", 1), ("N2", "IND", 1)]


def test_each_principal_allocation_weighs_what_the_former_left() -> None:
    # 3 : 1 gives N1 the first won (2 : 1 is left), N1 the second (1 : 1), N1 the third by the tie, N2 the last.
    rows = (loan(), note("N1", 3), note("N2", 1), held("N1", "LEND"), held("N2", "IND"), *SIMPLE[3:])
    result = run(*rows, *(owed(f"p{i}", "principal", 1, no=i) for i in range(4)), paid("R", 4, MON))
    assert shared(result) == [("N1", "LEND", 1)] * 3 + [("N2", "IND", 1)]


def test_a_loan_paid_off_shares_by_original_principal() -> None:
    rows = (*TWO, owed("p", "principal", 400), owed("i", "interest", 8, TUE), paid("R", 400, MON), paid("S", 8, TUE))
    assert shared(run(*rows, on=[MON, TUE])) == [("N1", "LEND", 6), ("N2", "IND", 2)]


def test_a_share_of_nothing_does_not_exist_and_needs_no_holder() -> None:
    rows = (loan(), note("N1", 300), note("N2", 100), held("N1", "LEND"), *SIMPLE[3:])
    result = run(*rows, owed("p", "principal", 1), paid("R", 1, MON))
    assert shared(result) == [("N1", "LEND", 1)] and result.quarantined == []


def test_products_beyond_64_bits_are_exact() -> None:
    big = 2**60
    rows = (loan(), note("N1", big), note("N2", big), note("N3", big + 1), *(held(f"N{i}", "LEND") for i in (1, 2, 3)))
    result = run(*rows, *SIMPLE[3:], owed("p", "principal", 2**60 + 1), paid("R", 2**60 + 1, MON))
    # The exact shares end in …325.556 twice and …325.889: the floors leave two units, for N3 and, by the tie, N1.
    assert [gross for _, _, gross in shared(result)] == [384307168202282326, 384307168202282325, 384307168202282326]


@pytest.mark.parametrize(
    ("due_on", "received_on", "holder"),
    [
        (MON, "2026-02-28", "IND"),  # due on Monday, sold with effect from Tuesday, received on Saturday before
        (MON, MON, "IND"),
        (MON, TUE, "CORP"),  # paid late: the date of receipt is the later one
        (TUE, MON, "IND"),  # not yet due on Monday: the date of receipt
    ],
)
def test_the_holder_on_the_record_date_gets_the_share(due_on: date, received_on: str | date, holder: str) -> None:
    rows = (*SALE[:-2], owed("p", "principal", 100, due_on), paid("R", 100, received_on))
    result = run(*rows, on=[MON, TUE][: 1 + (received_on == TUE)], waterfall={"excess": "advance_principal"})
    assert [s.investor_id for s in result.shares] == [holder]


def test_money_received_before_the_due_date_and_held_goes_to_the_holder_on_the_due_date() -> None:
    rows = (*SALE[:-2], owed("p", "principal", 100, TUE), paid("R", 100, MON))
    assert [s.investor_id for s in run(*rows, on=[MON, TUE]).shares] == ["CORP"]


# --- §4 fees and §5 withholding -----------------------------------------------------------------------------


def test_fee_rules_add_up_each_floored_by_itself() -> None:
    fees = [
        {"name": "one", "on": ["interest"], "rate_ppm": 15_000, "vat_ppm": 100_000},
        {"name": "two", "on": ["interest", "principal"], "rate_ppm": 9_999, "vat_ppm": 500_000},
    ]
    rows = (*SIMPLE, owed("i", "interest", 999), owed("p", "principal", 999), paid("R", 1_998, MON))
    # one: 14.985 → 14, VAT 1.4 → 1; two: 9.989 → 9, VAT 4.5 → 4.
    assert [(s.fee, s.vat) for s in run(*rows, fees=fees).shares] == [(23, 5), (9, 4)]


@pytest.mark.parametrize(
    ("tax_class", "disbursed_on", "settled_on", "interest", "tax"),
    [
        ("individual", "2021-08-27", date(2021, 10, 20), 9_999, (1_390, 130)),  # 1 399.86 → 1 390; 139 → 130
        ("individual", "2021-08-26", date(2021, 10, 20), 9_999, (2_490, 240)),
        ("individual", "2021-08-26", date(2021, 10, 21), 9_999, (1_390, 130)),
        ("corporation", "2021-08-26", date(2021, 10, 21), 3_999, (0, 0)),  # 999.75 → 990, below 1 000
        ("corporation", "2021-08-26", date(2021, 10, 21), 4_000, (1_000, 100)),
        ("lender", "2021-08-26", date(2021, 10, 21), 9_999, (0, 0)),
        ("nonresident", "2021-08-26", date(2021, 10, 21), 9_999, (1_990, 190)),
    ],
)
def test_withholding_follows_class_disbursement_and_settlement_date(
    tax_class: str, disbursed_on: str, settled_on: date, interest: int, tax: tuple[int, int]
) -> None:
    rows = (
        loan(disbursed_on=disbursed_on),
        note("N", 5),
        held("N", "I"),
        Investor(investor_id="I", tax_class=tax_class),
    )
    result = run(
        *rows,
        owed("i", "interest", interest, settled_on),
        owed("p", "principal", 1, settled_on),
        paid("R", interest + 1, settled_on),
        on=[settled_on],
    )
    assert [(s.national, s.local) for s in result.shares] == [tax, (0, 0)]


def test_currencies_do_not_mix() -> None:
    rows = (
        *SIMPLE,
        loan("E", currency="EUR"),
        note("NE", 10, loan_id="E"),
        held("NE", "LEND"),
        owed("p", "principal", 5),
        owed("pe", "principal", 5, loan_id="E"),
        paid("R", 5, MON),
        paid("RE", 4, MON, loan_id="E"),
    )
    result = run(*rows)
    assert {currency: total.received for currency, total in result.totals.items()} == {"EUR": 4, "KRW": 5}
    assert result.balances["investor_payable:LEND", "EUR"] == -4
    assert result.balances["investor_payable:LEND", "KRW"] == -5


# --- §8 refusals --------------------------------------------------------------------------------------------

OWED = (owed("i", "interest", 10_000), owed("p", "principal", 100), paid("R", 10_100, MON), paid("S", 1, MON, "12:00"))
GHOST = Investor(investor_id="G", tax_class="ghost")
DOUBLED = Investor(investor_id="G", tax_class="doubled")
N, H = note("N1", 1_000_000), held("N1", "LEND")


@pytest.mark.parametrize(
    ("rule", "wrong", "mended"),
    [
        ("unknown_component", (loan(), N, H, owed("u", "fine", 1, "2099-01-01")), (loan(), N, H)),
        ("no_notes", (loan(), H), (loan(), N, H)),
        ("no_holder", (loan(), N), (loan(), N, H)),
        ("no_holder", (loan(), N, held("N1", "LEND", until=MON)), (loan(), N, H)),
        ("two_holders", (loan(), N, H, held("N1", "IND", "2026-03-01")), (loan(), N, H)),
        ("unknown_investor", (loan(), N, held("N1", "?")), (loan(), N, H)),
        ("no_tax_rule", (loan(), N, held("N1", "G"), GHOST), (loan(), N, H)),
        ("two_tax_rules", (loan(), N, held("N1", "G"), DOUBLED), (loan(), N, H)),
        ("principal_exceeds_outstanding", (loan(), note("N1", 99), H), (loan(), note("N1", 100), H)),
    ],
)
def test_a_contradiction_keeps_the_loan_back_until_it_is_mended(rule: str, wrong: Any, mended: Any) -> None:
    rows = (
        *SIMPLE[3:],
        *OWED,
        *(Fact(row, until_run=2) for row in wrong),
        *(Fact(row, from_run=2) for row in mended),
    )
    first = run(*rows)
    assert rules(first) == [("R", rule), ("S", rule)]
    assert events(first) == [("repayment_extracted", "R"), ("repayment_extracted", "S")]
    assert first.breaks == {("quarantined", "L1"): 10_101}
    assert (first.totals["KRW"].received, first.totals["KRW"].quarantined) == (10_101, 10_101)
    again = run(*rows, on=[MON, TUE])
    assert (rules(again), events(again), again.totals) == ([], [], {})
    assert again.breaks == {("quarantined", "L1"): 10_101}
    last = run(*rows, on=[MON, TUE, WED])
    assert allocated(last) == [("R", "i", 10_000), ("R", "p", 100)]
    assert [(row.repayment_id, row.settlement_date, row.released_on) for row in last.released] == [
        ("R", MON, WED),
        ("S", MON, WED),
    ]
    assert (last.totals["KRW"].received, last.totals["KRW"].quarantined) == (0, -10_101)


def test_a_currency_that_the_policy_does_not_name_keeps_the_loan_back() -> None:
    rows = (loan(currency="USD"), N, H, *SIMPLE[3:], *OWED)
    result = run(*rows)
    assert rules(result) == [("R", "unknown_currency"), ("S", "unknown_currency")]
    assert result.totals["USD"].quarantined == 10_101


def test_one_rule_is_named_by_rank() -> None:
    no_notes_in_usd = (loan(currency="USD"), *OWED)
    assert rules(run(*no_notes_in_usd, owed("u", "fine", 1)))[0] == ("R", "unknown_component")
    assert rules(run(*no_notes_in_usd))[0] == ("R", "unknown_currency")
    # R meets a stranger at its first share, S exceeds the principal: what exceeds is asked of every repayment first.
    small = (loan(), note("N1", 100), held("N1", "?"), *OWED, owed("p2", "principal", 1))
    assert rules(run(*small)) == [("R", "principal_exceeds_outstanding"), ("S", "principal_exceeds_outstanding")]
    # At one share the holder is asked for before the investor, the investor before the tax; note 1 before note 2.
    two = (loan(), note("N1", 100), note("N2", 100), *SIMPLE[3:], GHOST, *OWED)
    assert rules(run(*two, held("N1", "?")))[0] == ("R", "unknown_investor")
    assert rules(run(*two, held("N1", "G")))[0] == ("R", "no_tax_rule")
    assert rules(run(*two, held("N2", "?")))[0] == ("R", "no_holder")


def test_a_credit_of_a_refused_loan_stays_held_and_gets_no_row() -> None:
    rows = (*SIMPLE, owed("p", "principal", 10, TUE), Fact(owed("u", "fine", 1), from_run=1), paid("R", 7, MON))
    result = run(*rows, on=[MON, TUE])
    assert (allocated(result), rules(result), result.breaks) == ([], [], {})
    assert [(c.repayment_id, c.amount) for c in result.credits] == [("R", 7)]


def test_an_orphan_is_not_extracted_and_only_a_break() -> None:
    rows = (*SIMPLE, paid("R", 7, MON, loan_id="?"), paid("X", 7, MON, undoes="R", loan_id="?"))
    result = run(*rows)
    assert result.breaks == {("orphan_repayment", "R"): 7, ("orphan_repayment", "X"): 7}
    assert (events(result), rules(result)) == ([], [])


def test_several_principal_receivables_in_one_repayment_may_not_exceed_what_is_outstanding() -> None:
    rows = (*TWO, owed("p1", "principal", 250), owed("p2", "principal", 151), paid("R", 401, MON))
    assert rules(run(*rows)) == [("R", "principal_exceeds_outstanding")]
    fits = run(*TWO, owed("p1", "principal", 250), owed("p2", "principal", 150), paid("R", 400, MON))
    # 250 by 300 : 100 is 187.5 each way, the tie is N1's; 112 : 38 is left and is paid out whole.
    assert shared(fits) == [("N1", "LEND", 188), ("N2", "IND", 62), ("N1", "LEND", 112), ("N2", "IND", 38)]


# --- §9 running a day again ---------------------------------------------------------------------------------


def month(*rows: Any) -> tuple[Any, ...]:
    return (
        *TWO,
        owed("p1", "principal", 90, MON),
        owed("i1", "interest", 1_000, MON),
        owed("p2", "principal", 91, WED),
        paid("R", 1_200, MON),
        paid("S", 33, TUE),
        paid("T", 500, WED),
        paid("X", 33, THU, undoes="S"),
        paid("U", 40, THU, "12:00"),
        *rows,
    )


def test_a_settled_day_run_again_changes_nothing() -> None:
    engine = reference(*month())
    before = [engine.run(on) for on in (MON, TUE, WED)]
    assert engine.run(TUE).revision == 1
    assert [engine.result(on).shares for on in (MON, TUE, WED)] == [result.shares for result in before]


def test_days_settled_in_any_order_end_in_the_same_books() -> None:
    in_order, shuffled = reference(*month()), reference(*month())
    for on in (MON, TUE, WED, THU):
        in_order.run(on)
    for on in (WED, MON, THU, TUE):
        shuffled.run(on)
    for on in (MON, TUE, WED, THU):
        one, other = in_order.result(on), shuffled.result(on)
        assert (one.allocations, one.shares, one.totals, one.credits) == (
            other.allocations,
            other.shares,
            other.totals,
            other.credits,
        )
    assert in_order.result(THU).balances == shuffled.result(THU).balances
    assert shuffled.revisions == {WED: 2, MON: 1, THU: 2, TUE: 1}


def test_a_late_receivable_replays_the_loan_from_its_date_on() -> None:
    late = Fact(owed("c", "cost", 50, MON), from_run=3)
    engine = reference(*month(late))
    for on in (MON, TUE, WED):
        engine.run(on)
    assert allocated(engine.result(MON)) == [("R", "i1", 1_000), ("R", "p1", 90)]
    engine.run(MON)
    assert allocated(engine.result(MON)) == [("R", "c", 50), ("R", "i1", 1_000), ("R", "p1", 90)]
    # R leaves 60 held instead of 110; on Wednesday p2 takes 60 of R and 31 of the 33 of S.
    assert allocated(engine.result(WED)) == [("R", "p2", 60), ("S", "p2", 31)]
    assert engine.revisions == {MON: 2, TUE: 1, WED: 2}


def test_a_repayment_that_a_rule_now_refuses_is_quarantined_by_the_replay_and_its_rows_are_gone() -> None:
    broken = Fact(owed("u", "fine", 1, MON), from_run=1)
    engine = reference(*month(broken))
    engine.run(MON)
    result = engine.run(MON)
    assert (result.revision, allocated(result), rules(result)) == (2, [], [("R", "unknown_component")])
    assert result.balances == {("receipts_in_transit", "KRW"): 1_200, ("repayments_unallocated", "KRW"): -1_200}


def test_money_of_an_unsettled_window_moves_when_that_day_is_run_late() -> None:
    engine = reference(*month())
    engine.run(MON)
    engine.run(WED)
    assert Counter(a.repayment_id for a in engine.result(WED).allocations) == {"R": 1}
    engine.run(TUE)
    # S is held on Tuesday: 33 behind the 110 of R, of which Wednesday takes 91.
    assert [(c.repayment_id, c.amount) for c in engine.result(WED).credits] == [("R", 19), ("S", 33), ("T", 500)]
    assert engine.revisions == {MON: 1, TUE: 1, WED: 1}


@pytest.mark.parametrize("seed", range(12))
def test_a_random_month_settled_in_any_order_ends_in_the_same_books(seed: int) -> None:
    story = random_story(seed, loans=10, days=5)
    world = replace(story.world, facts=tuple(Fact(row) for row in story.world.rows(seed % 4)))
    in_order, shuffled = Reference(world, story.policy), Reference(world, story.policy)
    for on in world.dates:
        in_order.run(on)
    for on in Random(seed).sample(world.dates, len(world.dates)):
        shuffled.run(on)
    for on in world.dates:
        one, other = in_order.result(on), shuffled.result(on)
        assert Counter(map(str, one.shares)) == Counter(map(str, other.shares))
        assert Counter(map(str, one.quarantined)) == Counter(map(str, other.quarantined))
        assert (one.totals, one.balances) == (other.totals, other.balances)
        assert set(one.credits) == set(other.credits)
