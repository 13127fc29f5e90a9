"""Positions as they are kept: before any settled date, in a replay and outside of it, whatever the source shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from settlement.adapters.ledger.positions.repository import Positions
from settlement.domain.computation.positions import Sums

FIRST, SECOND, THIRD, LATER = (date(2026, 2, day) for day in (16, 19, 20, 23))


@pytest.fixture
def kept(settlement_db_url: str) -> Iterator[Positions]:
    """The positions in one transaction of the tasks' own role, as a run writes and reads them."""
    engine = sa.create_engine(settlement_db_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("set role settlement_app")
        yield Positions(connection)
    engine.dispose()


def move(kept: Positions, on: date, *moved: tuple[str, str, int]) -> None:
    """Let loans pay: (loan, note, principal); each loan has one receivable, of which all of it is paid."""
    loans = sorted({loan for loan, _, _ in moved})
    allocations = pd.DataFrame(
        {
            "allocation_no": range(1, len(loans) + 1),
            "loan_id": pd.array(loans, dtype="str"),
            "receivable_id": pd.array([f"{loan}-P" for loan in loans], dtype="str"),
            "component": pd.array(["principal"] * len(loans), dtype="str"),
            "amount": [sum(amount for of, _, amount in moved if of == loan) for loan in loans],
        }
    )
    shares = pd.DataFrame(
        {
            "allocation_no": [loans.index(loan) + 1 for loan, _, _ in moved],
            "note_id": pd.array([note for _, note, _ in moved], dtype="str"),
            "gross_amount": [amount for _, _, amount in moved],
        }
    )
    kept.write(allocations, shares, settlement_date=on)


def rows(sums: Sums) -> list[tuple[int, str, int]]:
    return sorted(zip(sums.loan.tolist(), sums.ids.to_pylist(), sums.amount.tolist(), strict=True))


def before(kept: Positions, on: date, *loans: str) -> list[tuple[int, str, int]]:
    return rows(kept.repaid(on, loans))


def test_a_position_before_a_date_is_what_moved_before_it(kept: Positions) -> None:
    move(kept, FIRST, ("L1", "N1", 10), ("L1", "N2", 20), ("L2", "N3", 5))
    move(kept, THIRD, ("L1", "N1", 1))
    assert before(kept, FIRST, "L1", "L2") == []
    assert before(kept, SECOND, "L1", "L2") == [(0, "N1", 10), (0, "N2", 20), (1, "N3", 5)]
    assert before(kept, THIRD, "L2", "L1") == [(0, "N3", 5), (1, "N1", 10), (1, "N2", 20)]
    assert before(kept, LATER, "L1") == [(0, "N1", 11), (0, "N2", 20)]
    assert rows(kept.allocated(LATER, ["L1", "L2", "L3"])) == [(0, "L1-P", 31), (1, "L2-P", 5)]


def test_what_is_reversed_whole_stands_no_more(kept: Positions) -> None:
    move(kept, FIRST, ("L1", "N1", 10))
    move(kept, SECOND, ("L1", "N1", -10))
    assert (before(kept, SECOND, "L1"), before(kept, THIRD, "L1")) == ([(0, "N1", 10)], [])


def test_a_loan_that_is_run_again_stands_on_what_that_has_written_and_others_are_left_alone(kept: Positions) -> None:
    for on in (FIRST, SECOND, THIRD):
        move(kept, on, ("L1", "N1", 10), ("L2", "N3", 5))
    kept.lift(["L1"], since=SECOND)
    assert before(kept, LATER, "L1", "L2") == [(0, "N1", 10), (1, "N3", 15)]
    move(kept, SECOND, ("L1", "N1", 7))
    assert before(kept, THIRD, "L1", "L2") == [(0, "N1", 17), (1, "N3", 10)]
    move(kept, THIRD, ("L1", "N1", 10))
    assert before(kept, LATER, "L1", "L2") == [(0, "N1", 27), (1, "N3", 15)]


def test_a_loan_that_a_replay_moves_no_more_stands_as_before_the_date(kept: Positions) -> None:
    move(kept, FIRST, ("L1", "N1", 10))
    move(kept, SECOND, ("L1", "N1", 10), ("L2", "N3", 5))
    kept.lift(["L1", "L2"], since=SECOND)
    assert before(kept, THIRD, "L1", "L2") == [(0, "N1", 10)]


@pytest.mark.parametrize(
    ("told", "refused"),
    [
        ("'L1', '2026-02-16', '{N1}', '{9}', '{}', '{}'", "positions_pkey"),
        ("'L9', '2026-02-16', '{N9}', '{}', '{}', '{}'", "each_id_has_its_amount"),
    ],
)
def test_the_database_refuses_a_second_position_and_one_without_an_amount(
    kept: Positions, told: str, refused: str
) -> None:
    move(kept, FIRST, ("L1", "N1", 10))
    with pytest.raises(sa.exc.IntegrityError, match=refused):
        kept.transaction.exec_driver_sql(f"insert into ledger.positions values ({told})")


def test_the_tasks_may_take_positions_away_and_not_change_them(kept: Positions) -> None:
    move(kept, FIRST, ("L1", "N1", 10))
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        kept.transaction.exec_driver_sql("update ledger.positions set repaid = '{9}'")


def test_ids_of_every_kind_come_out_as_they_went_in(kept: Positions) -> None:
    ids: list[Any] = ['{"a,b"}', "", "NULL", "홍 길동\n\t\\N", "null"]
    move(kept, FIRST, *[("L1", note, place + 1) for place, note in enumerate(ids)])
    assert before(kept, SECOND, "L1") == sorted((0, note, place + 1) for place, note in enumerate(ids))


def test_a_loan_may_have_more_notes_than_a_reader_takes_at_once(kept: Positions) -> None:
    notes = [("L1", f"{place:0140}", place + 1) for place in range(10_000)]
    move(kept, FIRST, *notes, ("L2", "N1", 7))
    found = before(kept, SECOND, "L2", "L1")
    assert (len(found), found[0], found[-1]) == (10_001, (0, "N1", 7), (1, f"{9_999:0140}", 10_000))
