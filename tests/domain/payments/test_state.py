"""The life of a payout: the enum and its steps are those that the database knows."""

from __future__ import annotations

import psycopg
from settlement.domain.payments.approval import Decision
from settlement.domain.payments.state import AT_BANK, FINAL, PROVEN_UNPAID, STEPS, UNPROVEN, UNSENT, PayoutState


def test_the_steps_are_those_of_the_database(settlement_db_url: str) -> None:
    with psycopg.connect(settlement_db_url.replace("+psycopg", "")) as connection:
        known = set(connection.execute("select from_state, to_state from ledger.payout_steps"))
    assert known == {(one.value, other.value) for one, others in STEPS.items() for other in others}


def test_a_decision_is_one_that_the_database_knows(settlement_db_url: str) -> None:
    with psycopg.connect(settlement_db_url.replace("+psycopg", "")) as connection:
        (check,) = connection.execute(
            "select pg_get_constraintdef(oid) from pg_constraint"
            " where conrelid = 'ledger.approvals'::regclass and contype = 'c'"
            "   and pg_get_constraintdef(oid) ~ 'decision'"
        ).fetchone() or ("",)
    assert all(f"'{decision}'" in check for decision in Decision)


def test_every_state_is_in_the_groups_that_its_name_says() -> None:
    assert {state for state in PayoutState if state.is_unsent} == {*UNSENT} == {"prepared", "approved"}
    assert {state for state in PayoutState if state.is_unproven} == {*UNPROVEN} == {"submitted", "unknown"}
    assert {state for state in PayoutState if state.is_at_bank} == {*AT_BANK} == {"submitted", "unknown", "accepted"}
    assert {state for state in PayoutState if state.is_proven_unpaid} == {*PROVEN_UNPAID} == {"rejected", "returned"}
    assert {state for state in PayoutState if state.is_final} == {*FINAL} == {"booked", "rejected", "returned"}
    assert {state for state in PayoutState if state.is_in_transit} == {*UNSENT, *AT_BANK}


def test_what_has_ended_moves_only_by_what_statements_show_or_the_bank_announces() -> None:
    assert STEPS[PayoutState.BOOKED] == ("returned",)
    assert STEPS[PayoutState.REJECTED] == ("booked", "returned")
    assert STEPS[PayoutState.RETURNED] == ("booked",)
