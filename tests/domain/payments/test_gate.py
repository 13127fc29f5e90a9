"""What speaks against paying, check by check."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from settlement.domain import policy as policies
from settlement.domain.payments import gate
from settlement.domain.payments.gate import Blocking, Proposal
from settlement.domain.policy import Policy


def policy(gate: str = "") -> Policy:
    return policies.parse(f'name = "t"\n[payouts.KRW]\n[gate]\n{gate}'.encode())


def proposal(**changes: Any) -> Proposal:
    said: dict[str, Any] = {
        "settlement_date": date(2026, 2, 16),
        "wanted": {"KRW": 100},
        "of_day": {"KRW": 100},
        "proven": {"KRW": 100},
        "newest_statement": date(2026, 2, 16),
        "breaks": [],
        "usual": {},
    }
    return Proposal(**(said | changes))


def against(asked: Proposal, by: Policy | None = None) -> list[tuple[str, bool]]:
    return [(objection.control, objection.is_final) for objection in gate.objections(asked, by or policy())]


def test_nothing_speaks_against_money_that_is_all_there() -> None:
    assert against(proposal()) == []


def test_nothing_speaks_against_paying_nothing() -> None:
    assert against(proposal(wanted={}, newest_statement=None, proven={})) == []


@pytest.mark.parametrize("newest", [None, date(2026, 2, 13)])
def test_the_statement_of_the_day_or_a_later_one_must_have_come(newest: date | None) -> None:
    assert against(proposal(newest_statement=newest)) == [("statement_has_come", False)]
    assert against(proposal(newest_statement=newest), policy('needs = "ledger"')) == []
    assert against(proposal(newest_statement=date(2026, 2, 20))) == []


def test_money_that_is_not_proven_closes_the_gate_for_good() -> None:
    (objection,) = gate.objections(proposal(proven={"KRW": 99}), policy())
    assert objection.is_final
    assert objection.said.startswith("Payouts of [100 KRW] against proven money of [99]: [1] is missing")


def test_currencies_are_not_summed() -> None:
    asked = proposal(wanted={"KRW": 100, "EUR": 5}, of_day={"KRW": 100, "EUR": 5}, proven={"KRW": 1000})
    assert against(asked) == [("money_is_proven", True)]


def blocking(cause: str, amount: int | None, subject: str = "line L1") -> Blocking:
    return Blocking(break_id=7, cause=cause, subject=subject, currency="KRW", amount=amount)


@pytest.mark.parametrize(
    ("found", "is_closed"),
    [
        (blocking("duplicate_line", -43790), True),
        (blocking("duplicate_line", 43790), False),
        (blocking("duplicate_line", None), True),  # of how much it is, nobody knows
        (blocking("amount_differs", -1), True),
        (blocking("unknown_at_bank", -1), False),
        (blocking("overpaid", 5000, "loan L1"), False),
    ],
)
def test_a_debit_that_nobody_ordered_closes_the_gate(found: Blocking, is_closed: bool) -> None:
    assert bool(against(proposal(breaks=[found]))) is is_closed


def test_a_gap_in_the_statements_closes_the_gate_where_the_policy_says_so() -> None:
    gap = blocking("statement_chain", 500, "statement S2")
    assert against(proposal(breaks=[gap])) == []
    assert against(proposal(breaks=[gap]), policy('breaks = ["statement_chain"]')) == [
        ("no_break_touches_payouts", False)
    ]


@pytest.mark.parametrize(
    ("usual", "amount", "is_closed"),
    [
        ([100, 100, 100], 10_000, False),  # three earlier Mondays say nothing
        ([100, 100, 100, 100], 500, False),
        ([100, 100, 100, 100], 501, True),
        ([1, 100, 100, 10_000], 500, False),  # the median, not the mean
        ([1, 100, 100, 10_000], 501, True),
        ([1, 1, 100, 100], 6, True),  # the lower of two in the middle
    ],
)
def test_totals_far_above_the_same_weekday_close_the_gate(usual: list[int], amount: int, is_closed: bool) -> None:
    asked = proposal(of_day={"KRW": amount}, usual={"KRW": usual})
    assert bool(against(asked, policy("usual_percent = 500"))) is is_closed
    assert against(asked) == []  # no check by default


def test_the_policys_limit_is_about_the_whole_day() -> None:
    limited = policy("limit.KRW = 150")
    assert against(proposal(of_day={"KRW": 150}), limited) == []
    assert against(proposal(of_day={"KRW": 151}), limited) == [("within_the_limit", False)]


# By check: the smallest thing that speaks against paying, and the policy by which it does.
AGAINST: Mapping[str, tuple[Proposal, str]] = {
    "statement_has_come": (proposal(newest_statement=date(2026, 2, 15)), ""),
    "money_is_proven": (proposal(proven={"KRW": 99}), ""),
    "no_break_touches_payouts": (proposal(breaks=[blocking("duplicate_line", -1)]), ""),
    "totals_are_usual": (proposal(usual={"KRW": [99, 99, 99, 99]}), "usual_percent = 101"),
    "within_the_limit": (proposal(), "limit.KRW = 99"),
}


@pytest.mark.parametrize("check", AGAINST)
def test_the_smallest_thing_against_paying_is_said_by_its_check_and_no_other(check: str) -> None:
    asked, said = AGAINST[check]
    assert against(asked, policy(said)) == [(check, check == "money_is_proven")]


def test_every_check_of_the_gate_is_seen_objecting() -> None:
    assert set(AGAINST) == {check.__name__ for check in gate.CHECKS}
