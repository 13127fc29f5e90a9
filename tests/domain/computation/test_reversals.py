"""Reversals in all their shapes: of the same run, of a later one, of held, quarantined and cancelled money."""

from datetime import date
from typing import Any

import pytest
from settlement.domain import frames
from settlement.domain.computation import settle
from settlement.domain.errors import BrokenInvariant

from tests.domain.stories import (
    DAY,
    INTEREST,
    INVESTORS,
    KR,
    PRINCIPAL,
    REPAYMENT,
    allocated,
    day,
    gross,
    history,
    inputs,
    journal,
    outcomes,
    rows,
    shares,
    totals,
)

TUESDAY = date(2026, 2, 17)
PAID_INTEREST, PAID_PRINCIPAL = (*INTEREST[:-1], 10_000), (*PRINCIPAL[:-1], 80_000)
AFTERWARDS = [("N1", "L1", 500_000, 460_000), ("N2", "L1", 300_000, 276_000), ("N3", "L1", 200_000, 184_000)]


def _reversal(
    of: str = "R1", *, at: str = "2026-02-16T12:00:00+09:00", amount: int = 95_000, name: str = "V1", state: str = "new"
) -> tuple[Any, ...]:
    return (name, "L1", at, amount, of, state)


def _original(
    state: str, *, name: str = "R1", amount: int = 95_000, loan: str = "L1", **flags: bool
) -> tuple[Any, ...]:
    return (name, loan, amount, flags.get("is_reversal", False), flags.get("is_reversed", False), state)


def test_a_reversal_in_the_same_run_shows_beside_the_settled_repayment_and_undoes_it() -> None:
    outcome = day(
        repayments=[REPAYMENT, _reversal(), ("R2", "L1", "2026-02-16T13:00:00+09:00", 95_000, None, "new")],
        originals=[_original("unsettled")],
    )
    assert outcomes(outcome) == {"R1": "settled", "V1": "reversal", "R2": "settled"}
    assert allocated(outcome) == [
        ("R1", "I1", 10_000),
        ("R1", "P1", 80_000),
        ("V1", "I1", -10_000),
        ("V1", "P1", -80_000),
        ("R2", "I1", 10_000),
        ("R2", "P1", 80_000),
    ]
    made = shares(outcome)
    assert made[6:12] == [(*("V1", *share[1:4]), *(-amount for amount in share[4:])) for share in made[:6]]
    assert made[12:] == [("R2", *share[1:]) for share in made[:6]]
    assert rows(outcome.credits, "repayment_id", "amount", "event") == [
        ("R1", 5_000, "held"),
        ("R1", -5_000, "taken_back"),
        ("R2", 5_000, "held"),
    ]
    assert rows(outcome.entries.drop(columns=["loan_id", "currency"])) == [
        (1, "repayment_extracted", "R1", None, None),
        (2, "repayment_distributed", "R1", None, None),
        (3, "repayment_reversed", "V1", None, 1),
        (4, "repayment_reversed", "V1", None, 2),
        (5, "repayment_extracted", "R2", None, None),
        (6, "repayment_distributed", "R2", None, None),
    ]
    assert dict(rows(outcome.repayments, "repayment_id", "held_amount")) == {"R1": 0, "V1": 0, "R2": 5_000}
    assert totals(outcome) | {"repayment_count": 1} == totals(day())
    assert totals(outcome)["repayment_count"] == 3


def test_a_reversal_in_a_later_run_negates_every_row_at_its_original_amounts() -> None:
    monday = day()
    outcome = day(
        on=TUESDAY,
        notes=AFTERWARDS,
        investors=[("A", "lender"), ("B", "lender"), ("C", "lender")],  # not asked: the rows are as they were
        receivables=[PAID_INTEREST, PAID_PRINCIPAL],
        repayments=[_reversal(at="2026-02-17T09:00:00+09:00")],
        credits=[("L1", "R1", "2026-02-16T11:00:00+09:00", 5_000, 0)],
        originals=[_original("settled")],
        **history(monday),
    )
    assert outcomes(outcome) == {"V1": "reversal"}
    assert shares(outcome) == [
        ("V1", "I1", "N1", "A", -5_000, -400, -40, -700, -70, -3_790),
        ("V1", "I1", "N2", "B", -3_000, -240, -24, 0, 0, -2_736),
        ("V1", "I1", "N3", "C", -2_000, -160, -16, -280, -20, -1_524),
        ("V1", "P1", "N1", "A", -40_000, 0, 0, 0, 0, -40_000),
        ("V1", "P1", "N2", "B", -24_000, 0, 0, 0, 0, -24_000),
        ("V1", "P1", "N3", "C", -16_000, 0, 0, 0, 0, -16_000),
    ]
    assert rows(outcome.entries, "event", "repayment_id", "reverses_entry_id", "reverses_entry_no") == [
        ("repayment_reversed", "V1", 101, None),
        ("repayment_reversed", "V1", 102, None),
    ]
    assert [amount for *_, amount in journal(outcome)] == [-amount for *_, amount in journal(monday)]
    assert rows(outcome.credits, "repayment_id", "amount", "event") == [("R1", -5_000, "taken_back")]
    mirrored = {name: -amount for name, amount in totals(monday).items()} | {"repayment_count": 1}
    assert totals(outcome) == mirrored


def test_money_after_a_reversal_sees_the_positions_and_receivables_given_back() -> None:
    outcome = day(
        on=TUESDAY,
        notes=AFTERWARDS,
        receivables=[PAID_INTEREST, PAID_PRINCIPAL],
        repayments=[
            _reversal(at="2026-02-17T09:00:00+09:00"),
            ("R2", "L1", "2026-02-17T10:00:00+09:00", 90_000, None, "new"),
        ],
        credits=[("L1", "R1", "2026-02-16T11:00:00+09:00", 5_000, 0)],
        originals=[_original("settled")],
        **history(day()),
    )
    assert [share[4] for share in shares(outcome) if share[0] == "R2"] == [5_000, 3_000, 2_000, 40_000, 24_000, 16_000]


def test_positions_before_and_after_a_reversal_are_each_shared_by_their_own_weights() -> None:
    # Two notes of 100. R0 paid all 100 of N1 and nothing of N2 (as sold rows would have it); V0 gives it back.
    # R1 comes before V0 and pays by 0 : 100, R2 after it by 100 : 90.
    prior: dict[str, Any] = {
        "prior_allocations": [(1, "R0", "L1", "P0", "KRW", "principal", 100)],
        "prior_shares": [(1, "N1", "A", 100, 0, 0, 0, 0, 100)],
        "prior_entries": [
            (1, "repayment_extracted", "R0", "receipts_in_transit", "KRW", 100),
            (1, "repayment_extracted", "R0", "repayments_unallocated", "KRW", -100),
            (2, "repayment_distributed", "R0", "investor_payable:A", "KRW", -100),
            (2, "repayment_distributed", "R0", "repayments_unallocated", "KRW", 100),
        ],
    }
    outcome = day(
        notes=[("N1", "L1", 100, 0), ("N2", "L1", 100, 100)],
        holdings=[("N1", "A", "2026-01-15", None), ("N2", "B", "2026-01-15", None)],
        receivables=[("P0", "L1", 1, "principal", "2026-01-16", 200, 100)],
        repayments=[
            ("R1", "L1", "2026-02-16T01:00:00Z", 10, None, "new"),
            ("V0", "L1", "2026-02-16T02:00:00Z", 100, "R0", "new"),
            ("R2", "L1", "2026-02-16T03:00:00Z", 19, None, "new"),
        ],
        originals=[_original("settled", name="R0", amount=100)],
        **prior,
    )
    assert gross(outcome) == [
        ("R1", "P0", "N2", "B", 10),
        ("V0", "P0", "N1", "A", -100),
        ("R2", "P0", "N1", "A", 10),
        ("R2", "P0", "N2", "B", 9),
    ]


def test_a_reversal_of_a_partly_applied_credit_negates_both_runs_rows_and_takes_back_the_rest() -> None:
    monday = day()
    due_tuesday = ("C1", "L1", 2, "cost", "2026-02-17", 3_000, 0)
    tuesday = day(
        on=TUESDAY,
        notes=AFTERWARDS,
        receivables=[PAID_INTEREST, PAID_PRINCIPAL, due_tuesday],
        repayments=[],
        credits=[("L1", "R1", "2026-02-16T11:00:00+09:00", 5_000, 0)],
    )
    assert allocated(tuesday) == [("R1", "C1", 3_000)]
    outcome = day(
        on=date(2026, 2, 18),
        notes=AFTERWARDS,
        receivables=[PAID_INTEREST, PAID_PRINCIPAL, (*due_tuesday[:-1], 3_000)],
        repayments=[_reversal(at="2026-02-18T09:00:00+09:00")],
        credits=[("L1", "R1", "2026-02-16T11:00:00+09:00", 2_000, 0)],
        originals=[_original("settled")],
        **history(monday, tuesday),
    )
    assert allocated(outcome) == [("V1", "I1", -10_000), ("V1", "P1", -80_000), ("V1", "C1", -3_000)]
    assert rows(outcome.credits, "repayment_id", "amount", "event") == [("R1", -2_000, "taken_back")]
    assert rows(outcome.entries, "repayment_id", "reverses_entry_id") == [("V1", 101), ("V1", 102), ("V1", 201)]
    assert totals(outcome)["received"] == -95_000
    assert totals(outcome)["credit"] == -2_000


def test_a_credit_applied_in_the_very_run_of_its_reversal_is_undone_too() -> None:
    outcome = day(
        on=TUESDAY,
        notes=AFTERWARDS,
        receivables=[PAID_INTEREST, PAID_PRINCIPAL, ("C1", "L1", 2, "cost", "2026-02-17", 3_000, 0)],
        repayments=[_reversal(at="2026-02-17T09:00:00+09:00")],
        credits=[("L1", "R1", "2026-02-16T11:00:00+09:00", 5_000, 0)],
        originals=[_original("settled")],
        **history(day()),
    )
    assert allocated(outcome) == [
        ("R1", "C1", 3_000),
        ("V1", "I1", -10_000),
        ("V1", "P1", -80_000),
        ("V1", "C1", -3_000),
    ]
    assert rows(outcome.credits, "amount", "event") == [(-3_000, "applied"), (-2_000, "taken_back")]
    assert rows(outcome.entries, "event", "reverses_entry_id", "reverses_entry_no") == [
        ("credit_applied", None, None),
        ("repayment_reversed", 101, None),
        ("repayment_reversed", 102, None),
        ("repayment_reversed", None, 1),
    ]
    assert totals(outcome)["credit"] == -5_000


EXTRACTION = [
    (7, "repayment_extracted", "R1", "receipts_in_transit", "KRW", 95_000),
    (7, "repayment_extracted", "R1", "repayments_unallocated", "KRW", -95_000),
]


def test_a_repayment_quarantined_before_and_mended_settles_and_is_then_reversed() -> None:
    outcome = day(
        repayments=[(*REPAYMENT[:-1], "quarantined"), _reversal()],
        originals=[_original("quarantined")],
        prior_entries=EXTRACTION,
    )
    assert outcomes(outcome) == {"R1": "settled", "V1": "reversal"}
    assert rows(outcome.repayments, "repayment_id", "is_extracted_now") == [("R1", False), ("V1", False)]
    assert rows(outcome.released) == [("R1",)]
    assert rows(outcome.entries, "event", "repayment_id", "reverses_entry_id", "reverses_entry_no") == [
        ("repayment_distributed", "R1", None, None),
        ("repayment_reversed", "V1", 7, None),
        ("repayment_reversed", "V1", None, 1),
    ]
    assert totals(outcome) == {"repayment_count": 1, "received": -95_000, "quarantined": -95_000}


def test_a_repayment_still_quarantined_is_cancelled_by_its_reversal_and_its_extraction_reversed() -> None:
    outcome = day(
        investors=[],
        repayments=[(*REPAYMENT[:-1], "quarantined"), _reversal()],
        originals=[_original("quarantined")],
        prior_entries=EXTRACTION,
    )
    assert outcomes(outcome) == {"R1": "cancelled", "V1": "cancelled"}
    assert rows(outcome.released) == [("R1",)]
    assert len(outcome.quarantine) == 0
    assert len(outcome.breaks) == 0
    assert rows(outcome.entries, "event", "repayment_id", "reverses_entry_id") == [("repayment_reversed", "V1", 7)]
    assert totals(outcome) == {"repayment_count": 1, "received": -95_000, "quarantined": -95_000}


def test_a_repayment_quarantined_and_cancelled_in_one_run_keeps_its_row_released_that_day() -> None:
    outcome = day(investors=[], repayments=[REPAYMENT, _reversal()], originals=[_original("unsettled")])
    assert outcomes(outcome) == {"R1": "cancelled", "V1": "cancelled"}
    assert rows(outcome.quarantine, "repayment_id", "rule") == [("R1", "unknown_investor")]
    assert rows(outcome.released) == [("R1",)]
    assert rows(outcome.entries, "event", "repayment_id", "reverses_entry_no") == [
        ("repayment_extracted", "R1", None),
        ("repayment_reversed", "V1", 1),
    ]
    assert len(outcome.breaks) == 0
    assert totals(outcome) == {"repayment_count": 2}


@pytest.mark.parametrize("investors", [INVESTORS, []], ids=["a sound loan", "a refused loan"])
def test_a_repayment_cancelled_before_its_turn_is_never_extracted(investors: list[Any]) -> None:
    outcome = day(
        investors=investors,
        repayments=[REPAYMENT, _reversal(at="2026-02-16T10:00:00+09:00")],
        originals=[_original("unsettled")],
    )
    assert rows(outcome.repayments, "repayment_id", "outcome", "is_extracted_now") == [
        ("R1", "cancelled", False),
        ("V1", "cancelled", False),
    ]
    frames_without_rows = ("allocations", "shares", "entries", "quarantine", "released", "breaks", "credits")
    assert [len(getattr(outcome, name)) for name in frames_without_rows] == [0] * len(frames_without_rows)
    assert totals(outcome) == {}


def test_a_repayment_of_a_window_that_waits_for_its_own_run_is_cancelled_from_afar() -> None:
    outcome = day(repayments=[_reversal()], originals=[_original("unsettled")])
    assert rows(outcome.repayments) == [
        ("R1", "L1", "KRW", 95_000, None, "cancelled", False, 0),
        ("V1", "L1", "KRW", 95_000, "R1", "cancelled", False, 0),
    ]
    assert len(outcome.entries) == 0


@pytest.mark.parametrize(
    ("original", "reversal", "reason"),
    [
        ([], _reversal(), "its original does not exist"),
        ([_original("settled", is_reversal=True)], _reversal(), "its original is itself a reversal"),
        ([_original("settled", loan="L2")], _reversal(), "its original is of another loan"),
        ([_original("settled")], _reversal(amount=94_999), "its amount is not its original's"),
        ([_original("settled", is_reversed=True)], _reversal(), "its original is reversed already"),
        ([_original("cancelled")], _reversal(), "its original is reversed already"),
    ],
)
def test_a_malformed_reversal_is_quarantined_alone(original: Any, reversal: Any, reason: str) -> None:
    outcome = day(
        repayments=[("R2", "L1", "2026-02-16T11:00:00+09:00", 95_000, None, "new"), reversal],
        originals=original,
    )
    assert outcomes(outcome) == {"R2": "settled", "V1": "quarantined"}
    assert rows(outcome.quarantine, "loan_id", "repayment_id", "currency", "amount", "rule") == [
        ("L1", "V1", "KRW", reversal[3], "bad_reversal")
    ]
    assert f'"reason":"{reason}"' in outcome.quarantine["evidence"].iloc[0]
    assert rows(outcome.breaks, "cause", "subject_kind", "subject_id", "amount")[0] == (
        "bad_reversal",
        "repayment",
        "V1",
        reversal[3],
    )
    assert totals(outcome) == totals(day())


def test_a_reversal_that_names_another_loans_repayment_is_bad_even_with_that_ones_rows_at_hand() -> None:
    outcome = day(
        loans=[("L2", "KRW", "2026-01-15")],
        notes=[],
        holdings=[],
        receivables=[],
        repayments=[("V1", "L2", "2026-02-16T12:00:00+09:00", 95_000, "R1", "new")],
        originals=[_original("settled")],
        **history(day()),
    )
    assert outcomes(outcome) == {"V1": "quarantined"}
    assert len(outcome.entries) == 0


def test_the_second_reversal_of_a_repayment_is_the_bad_one() -> None:
    outcome = day(
        repayments=[REPAYMENT, _reversal(), _reversal(name="V2", at="2026-02-16T13:00:00+09:00")],
        originals=[_original("unsettled")],
    )
    assert outcomes(outcome) == {"R1": "settled", "V1": "reversal", "V2": "quarantined"}


def test_a_bad_reversal_that_is_still_bad_keeps_its_row_and_shows_its_break_again() -> None:
    outcome = day(repayments=[_reversal(state="quarantined")])
    assert outcomes(outcome) == {"V1": "quarantined"}
    assert [len(outcome.quarantine), len(outcome.released)] == [0, 0]
    assert rows(outcome.breaks, "cause", "subject_id") == [("bad_reversal", "V1")]


def test_a_bad_reversal_that_is_mended_is_taken_and_released() -> None:
    outcome = day(repayments=[REPAYMENT, _reversal(state="quarantined")], originals=[_original("unsettled")])
    assert outcomes(outcome) == {"R1": "settled", "V1": "reversal"}
    assert rows(outcome.released) == [("V1",)]


def test_a_reversal_of_settled_money_is_applied_although_its_loan_is_refused_now() -> None:
    outcome = day(
        on=TUESDAY,
        notes=AFTERWARDS,
        investors=[],
        receivables=[PAID_INTEREST, PAID_PRINCIPAL],
        repayments=[
            ("R2", "L1", "2026-02-17T08:00:00+09:00", 1_000, None, "new"),
            _reversal(at="2026-02-17T09:00:00+09:00"),
            ("R3", "L1", "2026-02-17T10:00:00+09:00", 2_000, None, "new"),
        ],
        credits=[("L1", "R1", "2026-02-16T11:00:00+09:00", 5_000, 0)],
        originals=[_original("settled")],
        **history(day()),
    )
    assert outcomes(outcome) == {"R2": "quarantined", "V1": "reversal", "R3": "quarantined"}
    assert allocated(outcome) == [("V1", "I1", -10_000), ("V1", "P1", -80_000)]
    assert rows(outcome.credits, "repayment_id", "amount", "event") == [("R1", -5_000, "taken_back")]
    assert rows(outcome.quarantine, "repayment_id", "amount", "rule") == [
        ("R2", 1_000, "unknown_investor"),
        ("R3", 2_000, "unknown_investor"),
    ]
    assert totals(outcome)["received"] == -92_000
    assert totals(outcome)["quarantined"] == 3_000


def test_a_reversal_whose_ledger_rows_do_not_make_its_original_stops_the_day() -> None:
    world = inputs(
        repayments=[_reversal()],
        originals=[_original("settled")],
        prior_allocations=[(1, "R1", "L1", "I1", "KRW", "interest", 10_000)],
    )
    with pytest.raises(BrokenInvariant, match=r"Allocations of \[R1\] sum to \[10000\], not to \[95000\]"):
        settle.settle_day(world, KR, TUESDAY)


def test_a_cancelled_repayment_whose_extraction_the_ledger_has_lost_stops_the_day() -> None:
    world = inputs(
        investors=[],
        repayments=[(*REPAYMENT[:-1], "quarantined"), _reversal()],
        originals=[_original("quarantined")],
    )
    with pytest.raises(BrokenInvariant, match=r"The books say \[0\] KRW for \[.*_amount\], the rows \[-95000\]"):
        settle.settle_day(world, KR, DAY)


def test_a_reversed_share_of_a_note_that_the_source_has_lost_is_negated_all_the_same() -> None:
    outcome = day(
        on=TUESDAY,
        notes=AFTERWARDS[1:],
        holdings=[("N2", "B", "2026-01-15", None), ("N3", "C", "2026-01-15", None)],
        receivables=[],
        repayments=[_reversal()],
        credits=[("L1", "R1", "2026-02-16T11:00:00+09:00", 5_000, 0)],
        originals=[_original("settled")],
        **history(day()),
    )
    assert [share[2] for share in shares(outcome)] == ["N1", "N2", "N3"] * 2
    assert [allocation[1] for allocation in allocated(outcome)] == ["I1", "P1"]
    frames.check_all(outcome)
