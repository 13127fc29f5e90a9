"""Laws that hold in every world: nothing is lost, nothing is made, and the order of rows does not matter."""

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settlement.domain import frames
from settlement.domain.computation import settle, waterfall

from tests.domain.stories import DAY, KR, SPECS, same, under

POLICIES = [
    under(KR, waterfall={"across": across, "excess": excess})
    for across in ("component", "installment")
    for excess in ("hold", "advance_principal", "advance")
]
COMPONENTS = ("cost", "late_interest", "interest", "principal")
ZERO_SUM = ["distributed", "fee", "vat", "national_tax", "local_tax", "cost", "credit", "quarantined"]


@st.composite
def _worlds(draw: st.DrawFn) -> frames.Inputs:
    """Draw a few loans with notes, receivables and a day's repayments and reversals, some of them contradictory."""
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in SPECS}
    rows["investors"] = [("A", "individual"), ("B", "corporation"), ("C", "lender"), ("D", "trust")]
    for number in range(draw(st.integers(1, 3))):
        loan = f"L{number}"
        rows["loans"].append((loan, draw(st.sampled_from(["KRW", "KRW", "KRW", "USD"])), "2026-01-15"))
        for place in range(draw(st.integers(0, 4))):
            _draw_note(draw, rows, loan, f"{loan}N{place}")
        for place in range(draw(st.integers(0, 4))):
            _draw_receivable(draw, rows, loan, f"{loan}I{place}")
        for place in range(draw(st.integers(0, 2))):
            name, amount = f"{loan}H{place}", draw(st.integers(1, 300))
            rows["credits"].append((loan, name, _instant(draw), amount, place))
        _draw_repayments(draw, rows, loan)
    return frames.Inputs(**{name: frames.build(spec, rows[name]) for name, spec in SPECS.items()})


def _draw_note(draw: st.DrawFn, rows: dict[str, list[tuple[Any, ...]]], loan: str, note: str) -> None:
    principal = draw(st.integers(1, 500))
    rows["notes"].append((note, loan, principal, draw(st.sampled_from([principal, principal // 2, 0]))))
    holders = st.sampled_from(["A", "B", "C", "A", "B", "C", "A", "B", "C", "D", "Z"])
    sold = draw(st.sampled_from([None, None, "2026-02-10", "2026-02-16"]))
    rows["holdings"].append((note, draw(holders), "2026-01-15", sold))
    if sold is not None and draw(st.integers(0, 9)):
        rows["holdings"].append((note, draw(holders), sold, None))


def _draw_receivable(draw: st.DrawFn, rows: dict[str, list[tuple[Any, ...]]], loan: str, name: str) -> None:
    amount = draw(st.integers(0, 200))
    due_on = draw(st.sampled_from(["2026-01-16", "2026-02-12", "2026-02-16", "2026-03-16"]))
    row = (name, loan, draw(st.integers(1, 3)), draw(st.sampled_from(COMPONENTS)), due_on, amount)
    rows["receivables"].append((*row, draw(st.sampled_from([0, 0, amount // 2, amount]))))


def _draw_repayments(draw: st.DrawFn, rows: dict[str, list[tuple[Any, ...]]], loan: str) -> None:
    for place in range(draw(st.integers(0, 4))):
        name, amount = f"{loan}R{place}", draw(st.integers(1, 400))
        rows["repayments"].append((name, loan, _instant(draw), amount, None, "new"))
        if draw(st.integers(0, 3)) == 0:
            undone = draw(st.sampled_from([amount, amount, amount, amount + 1]))
            rows["repayments"].append((f"{name}V", loan, _instant(draw), undone, name, "new"))
            rows["originals"].append((name, loan, amount, False, False, "unsettled"))


def _instant(draw: st.DrawFn) -> datetime:
    return datetime(2026, 2, 9, tzinfo=UTC) + timedelta(hours=draw(st.integers(0, 180)))


def _chosen_policy() -> st.SearchStrategy[Any]:
    return st.sampled_from(POLICIES)


@settings(max_examples=20, deadline=None)
@given(world=_worlds(), rules=_chosen_policy())
def test_nothing_is_lost_and_nothing_is_made(world: frames.Inputs, rules: Any) -> None:
    outcome = settle.settle_day(world, rules, DAY)
    frames.check_all(outcome)
    _entries_sum_to_zero(outcome)
    _shares_are_their_allocations(outcome)
    _no_note_and_no_receivable_is_overpaid(world, outcome)
    _the_books_are_the_totals(outcome)
    _every_repayment_is_accounted_for(world, outcome)


def _entries_sum_to_zero(outcome: frames.Outcome) -> None:
    assert (outcome.postings.groupby("entry_no")["amount"].sum() == 0).all()
    assert outcome.postings["entry_no"].isin(outcome.entries["entry_no"]).all()


def _shares_are_their_allocations(outcome: frames.Outcome) -> None:
    shared = outcome.allocations[outcome.allocations["component"] != "cost"].set_index("allocation_no")["amount"]
    sums = outcome.shares.groupby("allocation_no")["gross_amount"].sum()
    assert sums.to_dict() == shared.to_dict()
    parts = outcome.shares.drop(columns=["allocation_no", "note_id", "investor_id", "gross_amount"]).sum(axis=1)
    assert parts.tolist() == outcome.shares["gross_amount"].tolist()


def _no_note_and_no_receivable_is_overpaid(world: frames.Inputs, outcome: frames.Outcome) -> None:
    wide = frames.widen(outcome.shares, outcome.allocations)
    principal = wide[wide["component"] == "principal"].groupby("note_id", observed=True)["gross_amount"].sum()
    outstanding = world.notes.set_index("note_id")["outstanding"].to_dict()
    assert all(amount <= outstanding[note] for note, amount in principal.items())
    paid = outcome.allocations.groupby("receivable_id")["amount"].sum()
    receivables = world.receivables.set_index("receivable_id")
    left = (receivables["amount"] - receivables["allocated"]).to_dict()
    assert all(0 <= amount <= left[receivable] for receivable, amount in paid.items())


def _the_books_are_the_totals(outcome: frames.Outcome) -> None:
    posted = outcome.postings.merge(outcome.entries, how="left", on="entry_no", validate="many_to_one")
    account = posted["account"].astype("str").str.split(":").str[0] + ":"
    name = account.where(~account.eq("tax_payable:"), posted["account"].astype("str"))
    balances = posted.groupby([posted["currency"], name])["amount"].sum()
    for total in outcome.totals.to_dict("records"):
        booked = {key: -int(balances.get((total["currency"], account), 0)) for key, account in ACCOUNTS.items()}
        booked["received"] *= -1
        assert booked == {key: total[f"{key}_amount"] for key in ACCOUNTS}
        assert total["received_amount"] == sum(total[f"{key}_amount"] for key in ZERO_SUM)


ACCOUNTS = {
    "received": "receipts_in_transit:",
    "distributed": "investor_payable:",
    "fee": "fee_income:",
    "vat": "vat_payable:",
    "national_tax": "tax_payable:national",
    "local_tax": "tax_payable:local",
    "cost": "cost_recovered:",
    "credit": "borrower_credit:",
    "quarantined": "repayments_unallocated:",
}


def _every_repayment_is_accounted_for(world: frames.Inputs, outcome: frames.Outcome) -> None:
    """Each settled repayment went to allocations and what is held of it; what was undone comes to nothing."""
    assert set(world.repayments["repayment_id"]) == set(outcome.repayments["repayment_id"])
    paid = outcome.allocations.groupby("repayment_id")["amount"].sum()
    undone = set(outcome.repayments.loc[outcome.repayments["outcome"] == "reversal", "reverses_repayment_id"])
    for row in outcome.repayments.to_dict("records"):
        if row["outcome"] == "settled":
            held = 0 if row["repayment_id"] in undone else row["held_amount"]
            credits = outcome.credits[outcome.credits["repayment_id"] == row["repayment_id"]]
            assert int(credits["amount"].sum()) == held
            first_held = int(credits.loc[credits["event"] == "held", "amount"].sum())
            assert int(paid.get(row["repayment_id"], 0)) + first_held == row["amount"]


@settings(max_examples=10, deadline=None)
@given(world=_worlds(), rules=_chosen_policy(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_input_rows_does_not_matter(world: frames.Inputs, rules: Any, seed: int) -> None:
    generator = np.random.default_rng(seed)
    shuffled = {name: getattr(world, name).iloc[generator.permutation(len(getattr(world, name)))] for name in SPECS}
    same(settle.settle_day(frames.Inputs(**shuffled), rules, DAY), settle.settle_day(world, rules, DAY))


@settings(max_examples=10, deadline=None)
@given(world=_worlds(), rules=_chosen_policy())
def test_the_size_of_chunks_does_not_matter(world: frames.Inputs, rules: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        whole = settle.settle_day(world, rules, DAY)
        patch.setattr(settle, "NOTES_PER_CHUNK", 1)
        same(settle.settle_day(world, rules, DAY), whole)


@settings(max_examples=10, deadline=None)
@given(world=_worlds(), rules=_chosen_policy())
def test_the_parts_of_a_day_one_after_the_other_are_the_day(world: frames.Inputs, rules: Any) -> None:
    whole = settle.settle_day(world, rules, DAY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settle, "NOTES_PER_CHUNK", 1)
        parts = list(settle.settle_in_parts(world, rules, DAY, shares_per_part=1))
    for name in frames.OUTCOME:
        together = pd.concat([getattr(part, name) for part in parts], ignore_index=True)
        if name == "totals":
            together = together.groupby("currency", as_index=False).sum()
        pd.testing.assert_frame_equal(together, getattr(whole, name), obj=name)
    wide = pd.concat([frames.widen(part.shares, part.allocations) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(wide, frames.widen(whole.shares, whole.allocations))


@settings(max_examples=10, deadline=None)
@given(world=_worlds(), rules=_chosen_policy())
def test_plain_loans_taken_at_once_are_what_they_are_turn_by_turn(world: frames.Inputs, rules: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        at_once = settle.settle_day(world, rules, DAY)
        patch.setattr(waterfall, "_plain", lambda book, loans, refused: np.empty(0, dtype=np.int64))
        same(settle.settle_day(world, rules, DAY), at_once)


@settings(max_examples=10, deadline=None)
@given(world=_worlds(), rules=_chosen_policy())
def test_a_run_again_gives_the_same_bytes(world: frames.Inputs, rules: Any) -> None:
    first, second = (settle.settle_day(world, rules, DAY) for _ in range(2))
    for name in frames.OUTCOME:
        assert getattr(first, name).to_json() == getattr(second, name).to_json()


@settings(max_examples=10, deadline=None)
@given(world=_worlds(), rules=_chosen_policy())
def test_loans_do_not_look_at_each_other(world: frames.Inputs, rules: Any) -> None:
    together = settle.settle_day(world, rules, DAY)
    for loan in world.loans["loan_id"]:
        alone = settle.settle_day(_only(world, loan), rules, DAY)
        for name in ("repayments", "credits", "quarantine"):
            expected = getattr(together, name)
            expected = expected[expected["loan_id"] == loan].reset_index(drop=True)
            pd.testing.assert_frame_equal(getattr(alone, name), expected)
        wide = frames.widen(together.shares, together.allocations)
        mine = wide[wide["loan_id"] == loan]["net_amount"]
        assert alone.shares["net_amount"].tolist() == mine.tolist()


def _only(world: frames.Inputs, loan: str) -> frames.Inputs:
    names = ("loans", "notes", "receivables", "repayments", "credits", "originals")
    kept = {name: getattr(world, name)[getattr(world, name)["loan_id"] == loan] for name in names}
    holdings = world.holdings[world.holdings["note_id"].isin(kept["notes"]["note_id"])]
    return dataclasses.replace(world, **kept, holdings=holdings)


def test_a_day_without_loans_comes_to_nothing() -> None:
    empty = frames.Inputs(**{name: frames.build(spec) for name, spec in SPECS.items()})
    outcome = settle.settle_day(empty, KR, date(2026, 2, 16))
    frames.check_all(outcome)
    assert {name: len(getattr(outcome, name)) for name in frames.OUTCOME} == dict.fromkeys(frames.OUTCOME, 0)
