"""A settlement date restated: changes and differences worked by hand, and laws that hold in every world."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from settlement.domain import frames
from settlement.domain.computation import restatement, settle
from settlement.domain.errors import BrokenInvariant, InvalidFrame
from settlement.domain.frames import Inputs, Outcome

from tests.domain.stories import (
    DAY,
    HOLDINGS,
    INTEREST,
    INVESTORS,
    LOAN,
    NOTES,
    PRINCIPAL,
    REPAYMENT,
    day,
    inputs,
    rows,
)
from tests.reference import worlds
from tests.reference.player import Player
from tests.reference.reference import Reference
from tests.reference.world import Facts
from tests.reference.worlds import Story

NOTHING = Outcome(**{name: frames.build(spec) for name, spec in frames.OUTCOME.items()})

# --- what has changed ---------------------------------------------------------------------------------------------

SEEN: dict[str, list[tuple[Any, ...]]] = {
    "loans": [LOAN, ("L2", "KRW", "2026-01-15")],
    "notes": [*NOTES, ("N4", "L2", 100, 100)],
    "holdings": [*HOLDINGS, ("N4", "A", "2026-01-15", None)],
    "investors": INVESTORS,
    "receivables": [INTEREST, PRINCIPAL, ("P2", "L2", 1, "principal", "2026-03-16", 100, 0)],
}


def changed(*, counts_not_due: bool = False, **now: Any) -> list[str]:
    """The loans that have changed if the source says the frames of `now` and everything else as it was seen."""
    return restatement.changed_loans(
        inputs(**SEEN), inputs(**SEEN | now), settlement_date=DAY, counts_not_due=counts_not_due
    )


def with_row(relation: str, old: tuple[Any, ...], *new: tuple[Any, ...]) -> dict[str, Any]:
    """A relation in which a row has others in its place, or none."""
    return {relation: [row for seen in SEEN[relation] for row in (new if seen == old else (seen,))]}


def and_row(relation: str, new: tuple[Any, ...]) -> dict[str, Any]:
    return {relation: [*SEEN[relation], new]}


def test_what_the_source_says_as_it_was_seen_is_no_change() -> None:
    assert changed() == []
    turned: dict[str, Any] = {name: found[::-1] for name, found in SEEN.items()}
    assert changed(**turned) == []


def test_positions_are_no_facts() -> None:
    repaid = with_row("notes", NOTES[0], ("N1", "L1", 500_000, 7))
    paid = with_row("receivables", INTEREST, (*INTEREST[:6], 9))
    assert changed(**repaid, **paid) == []


@pytest.mark.parametrize(
    "now",
    [
        with_row("loans", LOAN, ("L1", "KRW", "2026-01-16")),
        with_row("loans", LOAN, ("L1", "USD", "2026-01-15")),
        with_row("notes", NOTES[2], ("N3", "L1", 200_001, 200_000)),
        with_row("holdings", HOLDINGS[1], ("N2", "C", "2026-01-15", None)),
        with_row("holdings", HOLDINGS[1], ("N2", "B", "2026-01-14", None)),
        with_row("holdings", HOLDINGS[1], ("N2", "B", "2026-01-15", "2026-03-01")),
        with_row("investors", INVESTORS[1], ("B", "lender")),
        with_row("receivables", INTEREST, ("I1", "L1", 1, "interest", "2026-02-16", 10_001, 0)),
        with_row("receivables", INTEREST, ("I1", "L1", 1, "interest", "2026-03-16", 10_000, 0)),
        with_row("receivables", INTEREST, ("I1", "L1", 1, "cost", "2026-02-16", 10_000, 0)),
        with_row("receivables", INTEREST, ("I1", "L1", 2, "interest", "2026-02-16", 10_000, 0)),
    ],
)
def test_a_row_that_differs_changes_its_loan(now: dict[str, Any]) -> None:
    assert changed(**now) == ["L1"]


@pytest.mark.parametrize(
    "now",
    [
        with_row("loans", LOAN),
        with_row("notes", NOTES[2]),
        with_row("holdings", HOLDINGS[2]),
        with_row("investors", INVESTORS[2]),
        with_row("receivables", PRINCIPAL),
    ],
)
def test_a_row_that_is_gone_changes_its_loan(now: dict[str, Any]) -> None:
    assert changed(**now) == ["L1"]


def test_a_tax_class_belongs_to_every_loan_of_its_investor() -> None:
    assert changed(**with_row("investors", INVESTORS[0], ("A", "lender"))) == ["L1", "L2"]


def test_a_tax_class_that_is_known_since_then_changes_the_loans_of_its_investor() -> None:
    assert restatement.changed_loans(
        inputs(**SEEN | with_row("investors", INVESTORS[1])), inputs(**SEEN), settlement_date=DAY, counts_not_due=False
    ) == ["L1"]


def test_a_new_note_changes_its_loan() -> None:
    assert changed(**and_row("notes", ("N5", "L2", 100, 100))) == ["L2"]


def test_a_note_that_moved_to_another_loan_changes_both() -> None:
    assert changed(**with_row("notes", NOTES[0], ("N1", "L2", 500_000, 500_000))) == ["L1", "L2"]


def test_a_new_holding_counts_if_it_began_by_the_date() -> None:
    assert changed(**and_row("holdings", ("N4", "B", "2026-02-16", None))) == ["L2"]
    assert changed(**and_row("holdings", ("N4", "B", "2026-02-17", None))) == []


def test_who_comes_to_hold_a_note_after_the_date_brings_no_tax_class_to_it() -> None:
    later = and_row("holdings", ("N4", "D", "2026-02-17", None)) | and_row("investors", ("D", "individual"))
    assert changed(**later) == []


def test_a_new_receivable_counts_if_it_was_due_by_the_date_or_if_excess_pays_in_advance() -> None:
    due = and_row("receivables", ("I2", "L2", 1, "interest", "2026-02-16", 5, 0))
    not_due = and_row("receivables", ("I2", "L2", 1, "interest", "2026-02-17", 5, 0))
    assert changed(**due) == ["L2"]
    assert changed(**not_due) == []
    assert changed(**not_due, counts_not_due=True) == ["L2"]


def test_a_loan_that_the_date_did_not_see_has_not_changed() -> None:
    more = and_row("loans", ("L3", "KRW", "2026-01-15")) | and_row("notes", ("N5", "L3", 100, 100))
    assert changed(**more) == []


def test_changed_loans_are_in_bytewise_order() -> None:
    ids = ["a", "é", "Z", "한", "10", "-"]
    seen = inputs(loans=[(id, "KRW", "2026-01-15") for id in ids], notes=[], holdings=[], receivables=[])
    now = inputs(loans=[(id, "KRW", "2026-01-16") for id in ids], notes=[], holdings=[], receivables=[])
    found = restatement.changed_loans(seen, now, settlement_date=DAY, counts_not_due=False)
    assert found == ["-", "10", "Z", "a", "é", "한"]


def facts_of(facts: Facts, loan_ids: set[str]) -> Inputs:
    """What a source says of some loans, as a run that takes no money would read it."""
    notes = [note for loan_id in loan_ids for note in facts.notes.get(loan_id, [])]
    holdings = [holding for note in notes for holding in facts.holdings.get(note.note_id, [])]
    holders = sorted({holding.investor_id for holding in holdings} & facts.investors.keys())
    return inputs(
        loans=[
            (loan.loan_id, loan.currency, loan.disbursed_on)
            for loan_id in loan_ids
            if (loan := facts.loans.get(loan_id)) is not None
        ],
        notes=[(note.note_id, note.loan_id, note.principal, 0) for note in notes],
        holdings=[(row.note_id, row.investor_id, row.held_from, row.held_until_exclusive) for row in holdings],
        investors=[(holder, facts.investors[holder].tax_class) for holder in holders],
        receivables=[
            (row.receivable_id, row.loan_id, row.installment_no, row.component, row.due_on, row.amount, 0)
            for loan_id in loan_ids
            for row in facts.receivables.get(loan_id, [])
        ],
        repayments=[],
    )


@pytest.mark.parametrize("counts_not_due", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_loans_of_any_world_change_as_the_reference_says(seed: int, counts_not_due: bool) -> None:
    world = worlds.story(seed, loans=60, days=6).world
    found = 0
    for run, on in enumerate(world.dates[:-1]):
        saw, now = world.seen(run), world.seen(run + 1)
        loan_ids = set(saw.loans)
        expected = {
            loan_id
            for loan_id in loan_ids
            if Reference.changed(on, saw.of_loan(loan_id), now.of_loan(loan_id), counts_not_due=counts_not_due)
        }
        assert (
            restatement.changed_loans(
                facts_of(saw, loan_ids), facts_of(now, loan_ids), settlement_date=on, counts_not_due=counts_not_due
            )
            == sorted(expected)
        )  # fmt: skip
        found += len(expected)
    assert found > 0


# --- what has to be posted ----------------------------------------------------------------------------------------


def booked(outcome: Outcome, *, after: int = 0) -> pd.DataFrame:
    """The entries of an outcome as the books keep them, with ids that go on after a number."""
    joined = outcome.postings.merge(outcome.entries, how="left", on="entry_no", validate="many_to_one")
    kept = joined.assign(
        entry_id=joined["entry_no"] + after,
        reverses_entry_id=joined["reverses_entry_id"].fillna(joined["reverses_entry_no"] + after),
    )
    return frames.check(kept[frames.BOOKED_ENTRIES.column_names], frames.BOOKED_ENTRIES)


NOTHING_BOOKED = booked(NOTHING)


def posted(found: restatement.Differences) -> list[tuple[Any, ...]]:
    """The differences as (event, repayment, booked entry reversed, new entry reversed, postings)."""
    legs = {number: dict(rows(of, "account", "amount")) for number, of in found.postings.groupby("entry_no")}
    names = ("event", "repayment_id", "reverses_entry_id", "reverses_entry_no", "entry_no")
    return [(*head, legs[number]) for *head, number in rows(found.entries, *names)]


def test_with_nothing_booked_everything_is_posted() -> None:
    outcome = day()
    found = restatement.differences(NOTHING_BOOKED, outcome)
    pd.testing.assert_frame_equal(found.entries, outcome.entries)
    pd.testing.assert_frame_equal(found.postings, outcome.postings, check_categorical=False)
    assert found.undoing_count == 0


def test_what_is_the_same_stays() -> None:
    found = restatement.differences(booked(day(), after=700), day())
    assert (len(found.entries), len(found.postings), found.undoing_count) == (0, 0, 0)
    assert restatement.change_of_totals(found).empty


def test_more_interest_undoes_the_distribution_and_posts_it_anew() -> None:
    restated = day(receivables=[("I1", "L1", 1, "interest", "2026-02-16", 12_000, 0), PRINCIPAL])
    found = restatement.differences(booked(day(), after=700), restated)
    assert posted(found) == [
        (
            "repayment_distributed",
            "R1",
            702,
            None,
            {
                "borrower_credit:L1": 5_000,
                "fee_income": 800,
                "investor_payable:A": 43_790,
                "investor_payable:B": 26_736,
                "investor_payable:C": 17_524,
                "repayments_unallocated": -95_000,
                "tax_payable:local": 90,
                "tax_payable:national": 980,
                "vat_payable": 80,
            },
        ),
        (
            "repayment_distributed",
            "R1",
            None,
            None,
            {
                "borrower_credit:L1": -3_000,
                "fee_income": -960,
                "investor_payable:A": -44_552,
                "investor_payable:B": -27_284,
                "investor_payable:C": -17_829,
                "repayments_unallocated": 95_000,
                "tax_payable:local": -110,
                "tax_payable:national": -1_170,
                "vat_payable": -95,
            },
        ),
    ]
    assert found.undoing_count == 1
    assert rows(restatement.change_of_totals(found)) == [("KRW", 0, 0, 1_615, 160, 15, 190, 20, 0, -2_000, 0, 0)]


def test_what_the_date_no_longer_has_is_undone_the_newest_first() -> None:
    found = restatement.differences(booked(day(), after=700), NOTHING)
    assert rows(found.entries, "entry_no", "event", "loan_id", "currency", "repayment_id", "reverses_entry_id") == [
        (1, "repayment_distributed", "L1", "KRW", "R1", 702),
        (2, "repayment_extracted", "L1", "KRW", "R1", 701),
    ]
    assert rows(restatement.change_of_totals(found)) == [
        ("KRW", -1, -95_000, -88_050, -800, -80, -980, -90, 0, -5_000, 0, 0)
    ]


REVERSAL = ("V1", "L1", "2026-02-16T12:00:00+09:00", 95_000, "R1", "new")


def reversed_at_once(reversal: tuple[Any, ...] = REVERSAL, **rows: Any) -> Outcome:
    return day(repayments=[REPAYMENT, reversal], originals=[("R1", "L1", 95_000, False, False, "unsettled")], **rows)


def test_what_reverses_an_entry_that_is_undone_is_undone_before_it_and_posted_after_the_new_one() -> None:
    costly = reversed_at_once(receivables=[("C1", "L1", 1, "cost", "2026-02-16", 95_000, 0)])
    found = restatement.differences(booked(reversed_at_once(), after=700), costly)
    assert [head[:4] for head in posted(found)] == [
        ("repayment_reversed", "V1", 704, None),
        ("repayment_distributed", "R1", 702, None),
        ("repayment_distributed", "R1", None, None),
        ("repayment_reversed", "V1", None, 3),
    ]
    assert posted(found)[3][4] == {"cost_recovered": 95_000, "repayments_unallocated": -95_000}
    assert restatement.change_of_totals(found)["repayment_count"].tolist() == [0]


def test_a_new_reversal_names_the_booked_entries_that_stay() -> None:
    another = reversed_at_once(("V2", *REVERSAL[1:]))
    found = restatement.differences(booked(reversed_at_once(), after=700), another)
    assert [head[:4] for head in posted(found)] == [
        ("repayment_reversed", "V1", 704, None),
        ("repayment_reversed", "V1", 703, None),
        ("repayment_reversed", "V2", 701, None),
        ("repayment_reversed", "V2", 702, None),
    ]
    undone, made = [legs for *_, legs in posted(found)][1:3]
    assert undone == {"receipts_in_transit": 95_000, "repayments_unallocated": -95_000}
    assert made == {"receipts_in_transit": -95_000, "repayments_unallocated": 95_000}


def test_a_reversal_of_another_entry_of_an_earlier_date_is_another_one() -> None:
    reversal = ("repayment_reversed", "L1", "KRW", "V1")
    outcome = replace(
        NOTHING,
        entries=frames.build(frames.ENTRIES, [(1, *reversal, 55, None)]),
        postings=frames.build(frames.POSTINGS, [(1, "receipts_in_transit", -9), (1, "repayments_unallocated", 9)]),
    )
    assert restatement.differences(booked(outcome, after=700), outcome).entries.empty
    earlier = replace(outcome, entries=frames.build(frames.ENTRIES, [(1, *reversal, 44, None)]))
    found = restatement.differences(booked(earlier, after=700), outcome)
    assert [head[2] for head in posted(found)] == [701, 55]


@pytest.mark.parametrize(("times_booked", "times_made"), [(3, 1), (1, 3), (2, 2)])
def test_of_entries_that_are_alike_as_many_stay_as_both_sides_have(times_booked: int, times_made: int) -> None:
    def alike(times: int) -> Outcome:
        numbers = range(1, times + 1)
        legs = [(number, *leg) for number in numbers for leg in (("borrower_credit:L1", 5), ("borrower_payable:F", -5))]
        heads = [(number, "refund_ordered", "L1", "KRW", "R1", None, None) for number in numbers]
        return replace(
            NOTHING, entries=frames.build(frames.ENTRIES, heads), postings=frames.build(frames.POSTINGS, legs)
        )

    found = restatement.differences(booked(alike(times_booked), after=700), alike(times_made))
    assert found.undoing_count == max(0, times_booked - times_made)
    assert len(found.entries) - found.undoing_count == max(0, times_made - times_booked)


def test_booked_entries_may_come_in_any_order() -> None:
    shuffled = booked(reversed_at_once(), after=700).sample(frac=1, random_state=7)
    assert restatement.differences(shuffled, reversed_at_once()).entries.empty


def test_an_entry_of_which_a_posting_is_missing_stops_the_day() -> None:
    with pytest.raises(BrokenInvariant, match="does not sum to zero"):
        restatement.differences(booked(day())[:-1], day())


def test_booked_entries_that_break_their_specification_are_refused() -> None:
    with pytest.raises(InvalidFrame, match="booked_entries"):
        restatement.differences(booked(day()).assign(amount=1.5), day())


def test_totals_in_which_money_is_lost_stop_the_day() -> None:
    found = restatement.differences(NOTHING_BOOKED, day())
    lost = found.postings[found.postings["account"] != "fee_income"]
    with pytest.raises(BrokenInvariant, match=r"\[95000\] KRW and what it went to by \[94200\]"):
        restatement.change_of_totals(replace(found, postings=lost))


# --- laws ---------------------------------------------------------------------------------------------------------


def settled_twice(story: Story) -> Iterator[tuple[Outcome, Outcome, int]]:
    """Yield what each date of a story comes to, what it comes to by the facts of the end, and the last id before it."""
    player = Player(story.world, story.policy)
    at_last = story.world.seen(len(story.world.dates))
    for run, on in enumerate(story.world.dates):
        seen, later = (player.inputs(on, facts) for facts in (story.world.seen(run), at_last))
        outcome = settle.settle_day(seen, story.policy, on)
        yield outcome, settle.settle_day(later, story.policy, on), len(player.ledger.entries)
        player.settled.add(on)
        player.absorb(on, outcome)


def balances(*postings: pd.DataFrame) -> Counter[tuple[str, str]]:
    """What frames with account, currency and amount come to, by account and currency, without zeros."""
    sums: Counter[tuple[str, str]] = Counter()
    for of in postings:
        for account, currency, amount in rows(of, "account", "currency", "amount"):
            sums[account, currency] += amount
    return Counter({key: amount for key, amount in sums.items() if amount})


def with_currency(found: restatement.Differences | Outcome) -> pd.DataFrame:
    heads = found.entries[["entry_no", "currency"]]
    return found.postings.merge(heads, how="left", on="entry_no", validate="many_to_one")


def totals(*signed: tuple[int, pd.DataFrame]) -> dict[str, list[int]]:
    """The sum of frames `TOTALS`, each times its sign, by currency, without rows of zeros."""
    sums: dict[str, list[int]] = {}
    for sign, frame in signed:
        for currency, *amounts in rows(frame):
            so_far = sums.setdefault(currency, [0] * len(amounts))
            sums[currency] = [one + sign * other for one, other in zip(so_far, amounts, strict=True)]
    return {currency: amounts for currency, amounts in sums.items() if any(amounts)}


def restated(before: pd.DataFrame, found: restatement.Differences, *, after: int) -> pd.DataFrame:
    """The booked entries that count once the differences are posted."""
    undone = found.entries["reverses_entry_id"][: found.undoing_count]
    is_new = found.entries["entry_no"] > found.undoing_count
    new = replace(
        NOTHING,
        entries=found.entries[is_new],
        postings=found.postings[found.postings["entry_no"] > found.undoing_count],
    )
    return pd.concat([before[~before["entry_id"].isin(undone)], booked(new, after=after)], ignore_index=True)


any_story = given(worlds.stories(loans=5, days=3, notes=3))
as_often_as_is_quick = settings(max_examples=4, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@as_often_as_is_quick
@any_story
def test_booked_entries_and_differences_together_are_the_outcome(story: Story) -> None:
    for first, second, last_id in settled_twice(story):
        before = booked(first, after=last_id)
        found = restatement.differences(before, second)
        assert balances(before, with_currency(found)) == balances(with_currency(second))
        assert not found.postings.groupby("entry_no")["amount"].sum().any()
        after = restated(before, found, after=last_id + len(first.entries))
        assert restatement.differences(after, second).entries.empty
        assert len(after) == len(second.postings)


@as_often_as_is_quick
@any_story
def test_an_outcome_differs_in_nothing_from_itself(story: Story) -> None:
    for outcome, _, last_id in settled_twice(story):
        assert restatement.differences(booked(outcome, after=last_id), outcome).entries.empty


@as_often_as_is_quick
@any_story
def test_totals_change_by_what_the_totals_of_two_outcomes_differ_in(story: Story) -> None:
    for first, second, last_id in settled_twice(story):
        whole = restatement.change_of_totals(restatement.differences(NOTHING_BOOKED, first))
        assert totals((1, whole)) == totals((1, first.totals))
        change = restatement.change_of_totals(restatement.differences(booked(first, after=last_id), second))
        assert totals((1, change)) == totals((1, second.totals), (-1, first.totals))
