"""What the source says by now beside what was taken from it, worked by hand."""

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
from settlement.domain.computation import source_changes
from settlement.domain.days import Window

FIRST, SECOND = date(2026, 2, 16), date(2026, 2, 19)
NOON = datetime(2026, 2, 16, 3, tzinfo=UTC)
WINDOWS = {
    FIRST: [Window(datetime(2026, 2, 13, 15, tzinfo=UTC), datetime(2026, 2, 16, 15, tzinfo=UTC))],
    SECOND: [Window(datetime(2026, 2, 16, 15, tzinfo=UTC), datetime(2026, 2, 19, 15, tzinfo=UTC))],
}


def repayments(*rows: tuple[str, str, int], **more: Any) -> pd.DataFrame:
    """Repayments (id, loan, amount) that came at noon, with a column for each of `more`."""
    return pd.DataFrame(rows, columns=["repayment_id", "loan_id", "amount"]).assign(
        received_at=NOON, reverses_repayment_id=None, **more
    )


def loans(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["loan_id", "currency"])


def test_windows_that_follow_each_other_share_a_boundary() -> None:
    assert [at.isoformat() for at in source_changes.boundaries(WINDOWS)] == [
        "2026-02-13T15:00:00+00:00",
        "2026-02-16T15:00:00+00:00",
        "2026-02-19T15:00:00+00:00",
    ]


def test_a_window_is_read_again_if_its_count_or_its_digest_differs() -> None:
    def differ(first: tuple[int, str], second: tuple[int, str]) -> list[date]:
        source = {WINDOWS[FIRST][0].from_at: first, WINDOWS[SECOND][0].from_at: second}
        return source_changes.windows_that_differ(WINDOWS, source=source, taken={FIRST: (2, "77"), SECOND: (1, "5")})

    assert differ((2, "77"), (1, "5")) == []
    assert differ((2, "78"), (1, "5")) == [FIRST]
    assert differ((2, "77"), (2, "5")) == [SECOND]


def test_a_window_in_two_pieces_is_what_came_in_both() -> None:
    pieces = {FIRST: [*WINDOWS[FIRST], *WINDOWS[SECOND]]}
    source = {WINDOWS[FIRST][0].from_at: (2, "77"), WINDOWS[SECOND][0].from_at: (1, "5")}
    assert source_changes.windows_that_differ(pieces, source=source, taken={FIRST: (3, "82")}) == []
    assert source_changes.windows_that_differ(pieces, source=source, taken={FIRST: (2, "77")}) == [FIRST]


def test_a_window_without_rows_on_either_side_is_the_same() -> None:
    assert source_changes.windows_that_differ(WINDOWS, source={}, taken={}) == []
    assert source_changes.windows_that_differ(WINDOWS, source={}, taken={SECOND: (1, "5")}) == [SECOND]
    assert source_changes.windows_that_differ(WINDOWS, source={WINDOWS[FIRST][0].from_at: (1, "5")}, taken={}) == [
        FIRST
    ]


def test_what_the_source_says_as_it_was_taken_has_not_changed() -> None:
    received = repayments(("R1", "L1", 100), ("R9", "L1", 900))
    assert source_changes.changed(repayments(("R1", "L1", 100), currency="KRW", state="settled"), received) == []


def test_another_amount_is_a_finding_with_what_was_taken_and_what_the_source_says() -> None:
    (found,) = source_changes.changed(
        repayments(("R1", "L1", 100), ("R2", "L1", 200), currency="KRW", state="settled"),
        repayments(("R1", "L1", 100), ("R2", "L1", 250)),
    )
    assert (found.cause, found.subject_kind, found.subject_id) == ("source_changed", "repayment", "R2")
    assert (found.currency, found.amount) == ("KRW", 200)
    assert found.evidence == {
        "taken": {"loan_id": "L1", "received_at": NOON, "amount": 200},
        "source": {"loan_id": "L1", "received_at": NOON, "amount": 250},
    }


def test_a_row_that_the_source_no_longer_has_is_gone() -> None:
    (found,) = source_changes.changed(
        repayments(("R1", "L1", 100), ("R2", "L1", 200), currency="KRW", state="settled"), repayments(("R1", "L1", 100))
    )
    assert (found.subject_id, found.evidence["source"]) == ("R2", "gone")


def test_an_amount_that_no_float_can_hold_has_not_changed_beside_a_row_that_is_gone() -> None:
    large = ("R1", "L1", 2**53 + 1)
    (found,) = source_changes.changed(
        repayments(large, ("R2", "L1", 200), currency="KRW", state="settled"), repayments(large)
    )
    assert (found.subject_id, found.evidence["source"]) == ("R2", "gone")


def test_what_some_run_has_taken_is_not_taken_again() -> None:
    received = repayments(("R1", "L1", 100), ("R2", "L1", 200), ("R3", "L1", 300))
    assert source_changes.new(received, {"R2"})["repayment_id"].tolist() == ["R1", "R3"]


def test_what_is_kept_back_is_tried_again_unless_it_has_changed() -> None:
    changed = source_changes.changed(
        repayments(("R2", "L1", 200), currency="KRW", state="settled"), repayments(("R2", "L1", 250))
    )
    assert source_changes.unchanged(["R3", "R2", "R1"], changed) == ["R1", "R3"]


def test_a_loan_in_the_currency_in_which_it_was_settled_moves() -> None:
    of_loans, money = loans(("L1", "KRW"), ("L2", "USD")), repayments(("R1", "L1", 100), ("R2", "L2", 200))
    moving, taken, findings = source_changes.hold_to_currency(of_loans, money, {"L1": "KRW"})
    assert moving["loan_id"].tolist() == ["L1", "L2"]
    assert (taken["repayment_id"].tolist(), findings) == (["R1", "R2"], [])


def test_nothing_of_a_loan_in_another_currency_moves_until_the_source_says_the_old_one_again() -> None:
    of_loans, money = loans(("L1", "USD"), ("L2", "USD")), repayments(("R1", "L1", 100), ("R2", "L2", 200))
    moving, taken, (found,) = source_changes.hold_to_currency(of_loans, money, {"L1": "KRW"})
    assert (moving["loan_id"].tolist(), moving.index.tolist()) == (["L2"], [0])
    assert taken["repayment_id"].tolist() == ["R2"]
    assert (found.cause, found.subject_id, found.currency, found.amount) == ("source_changed", "R1", "KRW", 100)
    assert found.evidence == {
        "taken": {"loan_id": "L1", "currency": "KRW", "received_at": NOON},
        "source": {"loan_id": "L1", "currency": "USD"},
    }
