"""What a former system paid otherwise is named: one cause each on the worked loan, whose amounts are literals.

A has 45 000 of its 90 000, B 27 000, C 18 000; of their interest 5 000, 3 000 and 2 000. A and C are individuals, B a
corporation, whose tax of 750 is below the least that is withheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from settlement.domain import frames
from settlement.domain.errors import InvalidFrame
from settlement.domain.frames import Inputs, Outcome
from settlement.domain.shadow import amounts, explain
from settlement.domain.shadow.causes import AMOUNTS, KEY

from tests.domain import stories

ON, NEXT = stories.DAY, date(2026, 2, 19)
FULL = ("gross_amount", "fee_amount", "vat_amount", "national_tax_amount", "local_tax_amount", "net_amount")
A = ("L1", "A", 45_000, 400, 40, 700, 70, 43_790)
B = ("L1", "B", 27_000, 240, 24, 0, 0, 26_736)
C = ("L1", "C", 18_000, 160, 16, 280, 20, 17_524)
PAID = [A, B, C]

Row = tuple[Any, ...]


def paid(rows: Sequence[Row], given: Sequence[str] = FULL) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return what the former system says it paid, rows of loan, investor and the given amounts."""
    columns: dict[str, Any] = {"loan_id": [row[0] for row in rows], "investor_id": [row[1] for row in rows]}
    columns["currency"] = ["KRW"] * len(rows)
    frame = pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()})
    for place, name in enumerate(given, start=2):
        frame[name] = np.array([row[place] for row in rows], dtype=np.int64)
    complete, known = amounts.complete(frame, given)
    return amounts.added_up(complete), known


def shares_of(outcome: Outcome, inputs: Inputs) -> pd.DataFrame:
    """Return the shares of an outcome as the books would."""
    wide = frames.widen(outcome.shares, outcome.allocations).rename(columns={"allocation_no": "position"})
    came = inputs.repayments.set_index("repayment_id")["received_at"]
    both = wide["national_tax_amount"] + wide["local_tax_amount"]
    wide = wide.assign(received_at=came.reindex(wide["repayment_id"]).array, tax_amount=both)
    return frames.of_columns(frames.SHADOW_SHARES, {name: wide[name] for name in frames.SHADOW_SHARES.column_names})


def day_of(
    theirs: Sequence[Row], given: Sequence[str] = FULL, *, on: date = ON, kept_back: Sequence[str] = (), **world: Any
) -> tuple[explain.Day, tuple[str, ...]]:
    """Return what a date's differences come to, in the world of a story."""
    inputs = stories.inputs(**world)
    shares = shares_of(stories.day(on=on, **world), inputs)
    rows, known = paid(theirs, given)
    ours = amounts.added_up(shares)
    differing = amounts.differences(ours, rows, known)
    chosen = shares[shares["loan_id"].isin(differing["loan_id"])].reset_index(drop=True)
    seen = explain.Seen(settlement_date=on, shares=chosen, inputs=inputs, came_on=[on], kept_back=frozenset(kept_back))
    return explain.of_day(differing, seen, stories.KR, known), known


def named(*days: tuple[explain.Day, tuple[str, ...]]) -> list[Row]:
    """Return the differences as (day of the month, loan, investor, cause, detail, and the given amounts)."""
    known = days[0][1]
    found = explain.of_period([day for day, _ in days], known)
    wanted = [name for name in FULL if name in known]
    rows = frames.rows(found, "settlement_date", "loan_id", "investor_id", "cause", "detail", *wanted)
    return [(on.day, *rest) for on, *rest in rows]


def but(row: Row, **changes: int) -> Row:
    """Return a row of full amounts with some of them changed by so much."""
    return (*row[:2], *(amount + changes.get(name, 0) for name, amount in zip(FULL, row[2:], strict=True)))


def test_nothing_is_said_of_a_date_on_which_both_paid_the_same() -> None:
    assert named(day_of(PAID)) == []
    assert named(day_of(PAID[::-1])) == []


# ----------------------------------------------------------------------------------------------------- fees and taxes


def test_a_higher_fee_is_a_fee_with_the_rate_that_it_has() -> None:
    # 10 % of 5 000, 3 000 and 2 000, and a tenth of that
    theirs = [
        but(A, fee_amount=100, vat_amount=10, net_amount=-110),
        but(B, fee_amount=60, vat_amount=6, net_amount=-66),
        but(C, fee_amount=40, vat_amount=4, net_amount=-44),
    ]
    assert named(day_of(theirs)) == [
        (16, "L1", "A", "fee", "100000 ppm", 0, 100, 10, 0, 0, -110),
        (16, "L1", "B", "fee", "100000 ppm", 0, 60, 6, 0, 0, -66),
        (16, "L1", "C", "fee", "100000 ppm", 0, 40, 4, 0, 0, -44),
    ]


def test_a_rate_that_two_large_shares_have_is_that_of_a_small_one_too_where_rounding_could_be_it() -> None:
    # interest of 5 000, 4 895 and 105: at 8 % fees of 400, 391 and 8 (8.4), at 9 % of 450, 440 and 9 (9.45)
    notes = [("N1", "L1", 500_000, 500_000), ("N2", "L1", 489_500, 489_500), ("N3", "L1", 10_500, 10_500)]
    world: dict[str, Any] = {"notes": notes, "receivables": [stories.INTEREST]}
    a = ("L1", "A", 5_000, 400, 40, 700, 70, 3_790)
    b = ("L1", "B", 4_895, 391, 39, 1_220, 120, 3_125)
    c = ("L1", "C", 105, 8, 0, 10, 0, 87)
    assert named(day_of([a, b, c], **world)) == []
    theirs = [
        but(a, fee_amount=50, vat_amount=5, net_amount=-55),
        but(b, fee_amount=49, vat_amount=5, net_amount=-54),
        but(c, fee_amount=1, net_amount=-1),
    ]
    assert named(day_of(theirs, **world)) == [
        (16, "L1", "A", "fee", "90000 ppm", 0, 50, 5, 0, 0, -55),
        (16, "L1", "B", "fee", "90000 ppm", 0, 49, 5, 0, 0, -54),
        (16, "L1", "C", "fee", "90000 ppm", 0, 1, 0, 0, 0, -1),
    ]
    alone = named(day_of([a, b, but(c, fee_amount=1, net_amount=-1)], **world))
    assert alone == [(16, "L1", "C", "rounding", "", 0, 1, 0, 0, 0, -1)]


def test_an_older_tax_rate_is_a_tax_with_the_rate_that_it_has() -> None:
    # 25 % of 5 000 and 2 000, a tenth of it cut to tens
    theirs = [
        but(A, national_tax_amount=550, local_tax_amount=50, net_amount=-600),
        B,
        but(C, national_tax_amount=220, local_tax_amount=30, net_amount=-250),
    ]
    assert named(day_of(theirs)) == [
        (16, "L1", "A", "tax", "250000 ppm", 0, 0, 0, 550, 50, -600),
        (16, "L1", "C", "tax", "250000 ppm", 0, 0, 0, 220, 30, -250),
    ]


def test_a_fee_and_a_tax_that_differ_on_one_row_are_two_causes() -> None:
    theirs = [but(A, fee_amount=7, vat_amount=1, national_tax_amount=-700, local_tax_amount=-70, net_amount=762), B, C]
    assert named(day_of(theirs)) == [
        (16, "L1", "A", "fee", "", 0, 7, 1, 0, 0, -8),
        (16, "L1", "A", "tax", "0 ppm", 0, 0, 0, -700, -70, 770),
    ]


def test_a_tax_that_the_corporation_should_not_have_paid_is_a_tax() -> None:
    theirs = [A, but(B, national_tax_amount=750, local_tax_amount=70, net_amount=-820), C]
    assert named(day_of(theirs)) == [(16, "L1", "B", "tax", "250000 ppm", 0, 0, 0, 750, 70, -820)]


def test_a_fee_without_its_net_amount_does_not_add_up_and_the_net_amount_is_unexplained() -> None:
    assert named(day_of([but(A, net_amount=-13), B, C])) == [(16, "L1", "A", "unexplained", "", 0, 0, 0, 0, 0, -13)]
    assert named(day_of([but(A, fee_amount=50), B, C])) == [
        (16, "L1", "A", "fee", "90000 ppm", 0, 50, 0, 0, 0, -50),
        (16, "L1", "A", "unexplained", "", 0, 0, 0, 0, 0, 50),
    ]


# ----------------------------------------------------------------------------------------------------------- rounding


def test_a_local_tax_that_was_not_cut_to_tens_is_rounding() -> None:
    # a tenth of 280 is 28, not 20; a tenth of 700 is 70
    assert named(day_of([A, B, but(C, local_tax_amount=8, net_amount=-8)])) == [
        (16, "L1", "C", "rounding", "", 0, 0, 0, 0, 8, -8)
    ]


def test_a_won_that_went_to_another_note_is_rounding_on_both_sides() -> None:
    theirs = [but(A, gross_amount=1, net_amount=1), B, but(C, gross_amount=-1, net_amount=-1)]
    assert named(day_of(theirs)) == [
        (16, "L1", "A", "rounding", "", 1, 0, 0, 0, 0, 1),
        (16, "L1", "C", "rounding", "", -1, 0, 0, 0, 0, -1),
    ]


def test_what_is_more_than_rounding_can_make_is_not_rounding() -> None:
    # A has two shares, which rounding moves by less than two won together
    assert named(day_of([but(A, gross_amount=3, net_amount=3), B, C])) == [
        (16, "L1", "A", "unexplained", "", 3, 0, 0, 0, 0, 3)
    ]


# ---------------------------------------------------------------------------------------------------- whose money it is

SOLD = [
    ("N1", "A", "2026-01-15", None),
    ("N2", "B", "2026-01-15", None),
    ("N3", "C", "2026-01-15", "2026-02-15"),
    ("N3", "D", "2026-02-15", None),
]
WITH_D = [*stories.INVESTORS, ("D", "corporation")]


def test_shares_that_went_to_the_holder_of_the_due_date_are_a_record_date_with_their_taxes() -> None:
    # due on the 10th, received on the 16th; N3 was sold on the 15th: D has it by our rules, C had it when it was due
    world: dict[str, Any] = {
        "holdings": SOLD,
        "investors": WITH_D,
        "receivables": [("I1", "L1", 1, "interest", "2026-02-10", 10_000, 0),
                        ("P1", "L1", 1, "principal", "2026-02-10", 80_000, 0)],
    }  # fmt: skip
    assert named(day_of([A, B, C], **world)) == [
        (16, "L1", "C", "record_date", "due_on", 18_000, 160, 16, 280, 20, 17_524),
        (16, "L1", "D", "record_date", "due_on", -18_000, -160, -16, 0, 0, -17_824),
    ]
    # C with the corporation's tax, which is none: whose the shares are, and the tax, are two causes
    without_tax = ("L1", "C", 18_000, 160, 16, 0, 0, 17_824)
    assert named(day_of([A, B, without_tax], **world)) == [
        (16, "L1", "C", "record_date", "due_on", 18_000, 160, 16, 280, 20, 17_524),
        (16, "L1", "C", "tax", "0 ppm", 0, 0, 0, -280, -20, 300),
        (16, "L1", "D", "record_date", "due_on", -18_000, -160, -16, 0, 0, -17_824),
    ]


def test_shares_of_one_investor_that_went_to_another_are_a_holder() -> None:
    # all of C's to B, a corporation, which owes no tax of so little
    theirs = [A, ("L1", "B", 45_000, 400, 40, 0, 0, 44_560)]
    assert named(day_of(theirs)) == [
        (16, "L1", "B", "holder", "", 18_000, 160, 16, 0, 0, 17_824),
        (16, "L1", "C", "holder", "", -18_000, -160, -16, -280, -20, -17_524),
    ]


def test_an_amount_that_is_no_note_and_went_to_another_is_unexplained() -> None:
    theirs = [but(A, gross_amount=500, net_amount=500), but(B, gross_amount=-500, net_amount=-500), C]
    assert named(day_of(theirs)) == [
        (16, "L1", "A", "unexplained", "", 500, 0, 0, 0, 0, 500),
        (16, "L1", "B", "unexplained", "", -500, 0, 0, 0, 0, -500),
    ]


# ------------------------------------------------------------------------------------------------------------ receipts


def minus(row: Row) -> Row:
    return tuple(-value if isinstance(value, int) else value for value in row)


def test_a_receipt_that_they_lack_is_named_with_all_its_shares() -> None:
    assert named(day_of([])) == [
        (16, "L1", name, "receipt_they_lack", "R1", *minus(row)[2:]) for name, row in zip("ABC", PAID, strict=True)
    ]


def test_of_two_receipts_the_one_that_they_lack_is_named() -> None:
    # R1 pays 60 000: the interest and 50 000 of the principal; R2 pays the other 30 000
    two: dict[str, Any] = {
        "repayments": [
            ("R1", "L1", "2026-02-16T11:00:00+09:00", 60_000, None, "new"),
            ("R2", "L1", "2026-02-16T12:00:00+09:00", 30_000, None, "new"),
        ]
    }
    theirs = [
        ("L1", "A", 30_000, 400, 40, 700, 70, 28_790),
        ("L1", "B", 18_000, 240, 24, 0, 0, 17_736),
        ("L1", "C", 12_000, 160, 16, 280, 20, 11_524),
    ]
    assert named(day_of(theirs, **two)) == [
        (16, "L1", "A", "receipt_they_lack", "R2", -15_000, 0, 0, 0, 0, -15_000),
        (16, "L1", "B", "receipt_they_lack", "R2", -9_000, 0, 0, 0, 0, -9_000),
        (16, "L1", "C", "receipt_they_lack", "R2", -6_000, 0, 0, 0, 0, -6_000),
    ]


def test_a_reversal_that_they_lack_is_a_receipt_too_and_one_that_they_round_otherwise_is_rounding() -> None:
    world: dict[str, Any] = {
        "repayments": [("V1", "L1", "2026-02-19T11:00:00+09:00", 95_000, "R1", "new")],
        "credits": [("L1", "R1", "2026-02-16T11:00:00+09:00", 5_000, 0)],
        "originals": [("R1", "L1", 95_000, False, False, "settled")],
        "notes": [("N1", "L1", 500_000, 460_000), ("N2", "L1", 300_000, 276_000), ("N3", "L1", 200_000, 184_000)],
        "receivables": [(*stories.INTEREST[:-1], 10_000), (*stories.PRINCIPAL[:-1], 80_000)],
        **stories.history(stories.day()),
    }
    found = named(day_of([], on=NEXT, **world))
    assert found == [
        (19, "L1", name, "receipt_they_lack", "V1", *row[2:]) for name, row in zip("ABC", PAID, strict=True)
    ]
    # C was taxed 28 and not 20, and gets 28 back
    theirs = [minus(A), minus(B), but(minus(C), local_tax_amount=-8, net_amount=8)]
    assert named(day_of(theirs, on=NEXT, **world)) == [(19, "L1", "C", "rounding", "", 0, 0, 0, 0, -8, 8)]


def test_a_row_that_is_missing_alone_is_no_receipt() -> None:
    assert named(day_of([A, B])) == [(16, "L1", "C", "unexplained", "", -18_000, -160, -16, -280, -20, -17_524)]


def test_a_receipt_that_we_lack_is_named_by_its_proportions_and_says_if_we_keep_it_back() -> None:
    nothing: dict[str, Any] = {"repayments": []}
    assert named(day_of(PAID, **nothing)) == [
        (16, "L1", name, "receipt_we_lack", "", *row[2:]) for name, row in zip("ABC", PAID, strict=True)
    ]
    assert {row[4] for row in named(day_of(PAID, kept_back=["L1"], **nothing))} == {"quarantined"}


@pytest.mark.parametrize(
    "theirs",
    [
        [A, B],  # not all who hold it
        [*PAID, ("L1", "Z", 100, 0, 0, 0, 0, 100)],  # somebody who does not
        [A, B, but(C, gross_amount=-900, net_amount=-900)],  # not in proportion
        [but(A, gross_amount=-90_000, net_amount=-90_000), B, C],  # some got, and some gave
    ],
)
def test_money_that_holders_did_not_get_in_proportion_is_no_receipt(theirs: list[Row]) -> None:
    assert {row[3] for row in named(day_of(theirs, repayments=[]))} == {"unexplained"}


def test_what_they_paid_on_another_date_is_told_on_both() -> None:
    later = day_of(PAID, on=NEXT, repayments=[])
    assert named(day_of([]), later) == [
        *((16, "L1", name, "other_date", "2026-02-19", *minus(row)[2:]) for name, row in zip("ABC", PAID, strict=True)),
        *((19, "L1", name, "other_date", "2026-02-16", *row[2:]) for name, row in zip("ABC", PAID, strict=True)),
    ]


def test_what_they_paid_on_another_date_beside_what_we_paid_then_is_told_on_both() -> None:
    # on the 19th another receipt pays 45 000 of principal, of which A has half
    second: dict[str, Any] = {"receivables": [("P1", "L1", 1, "principal", "2026-02-16", 125_000, 80_000)],
              "repayments": [("R2", "L1", "2026-02-19T11:00:00+09:00", 45_000, None, "new")]}  # fmt: skip
    theirs = [
        but(A, gross_amount=22_500, net_amount=22_500),
        but(B, gross_amount=13_500, net_amount=13_500),
        but(C, gross_amount=9_000, net_amount=9_000),
    ]
    found = named(day_of([]), day_of(theirs, on=NEXT, **second))
    assert {(row[0], row[3], row[4]) for row in found} == {
        (16, "other_date", "2026-02-19"),
        (19, "other_date", "2026-02-16"),
    }


# ------------------------------------------------------------------------------------------------- what is not given


def test_one_missing_amount_follows_from_the_others() -> None:
    for missing in FULL:
        given = tuple(name for name in FULL if name != missing)
        places = [FULL.index(name) + 2 for name in given]
        theirs = [(*row[:2], *(row[place] for place in places)) for row in PAID]
        _, known = paid(theirs, given)
        assert known == tuple(AMOUNTS)
    assert named(day_of(theirs, given)) == []


def test_taxes_may_be_given_as_one() -> None:
    given = ("gross_amount", "fee_amount", "vat_amount", "tax_amount", "net_amount")
    theirs = [("L1", "A", 45_000, 400, 40, 1_370, 43_190), ("L1", "B", 27_000, 240, 24, 0, 26_736)]
    theirs.append(("L1", "C", 18_000, 160, 16, 300, 17_524))
    assert [row[2:5] for row in named(day_of(theirs, given))] == [("A", "tax", "")]


def test_of_the_net_amount_alone_it_is_told_what_was_not_taken_at_all() -> None:
    net = ("net_amount",)
    theirs = [("L1", "A", 43_790 + 440), ("L1", "B", 26_736), ("L1", "C", 17_524 + 300)]
    assert named(day_of(theirs, net)) == [
        (16, "L1", "A", "fee", "", 440),
        (16, "L1", "C", "tax", "", 300),
    ]
    assert named(day_of([("L1", "A", 43_790), ("L1", "B", 26_736), ("L1", "C", 17_524 - 5_000)], net)) == [
        (16, "L1", "C", "unexplained", "", -5_000)
    ]
    assert named(day_of([], net)) == [
        (16, "L1", "A", "receipt_they_lack", "R1", -43_790),
        (16, "L1", "B", "receipt_they_lack", "R1", -26_736),
        (16, "L1", "C", "receipt_they_lack", "R1", -17_524),
    ]


def test_what_the_former_system_must_give_is_an_amount_and_no_sum_beside_its_parts() -> None:
    keys = ["settlement_date", "loan_id", "investor_id"]
    assert amounts.given_by([*keys, "net_amount", "memo"]) == (("net_amount",), False)
    for columns, said in (
        (keys, "it has no amount"),
        (["loan_id", "net_amount"], r"no column \['settlement_date', 'investor_id'\]"),
        ([*keys, "national_tax_amount", "local_tax_amount", "tax_amount"], r"\[tax_amount\] beside the two"),
    ):
        with pytest.raises(InvalidFrame, match=said):
            amounts.given_by(columns)


def test_a_value_that_is_missing_or_not_whole_is_refused() -> None:
    row = {"loan_id": ["L1"], "investor_id": ["A"], "net_amount": [1]}
    assert amounts.checked(pd.DataFrame(row), ["net_amount"]).values.tolist() == [["L1", "A", "", 1]]
    for changed, said in (
        ({"net_amount": [1.5]}, r"\[net_amount\] must hold whole minor units"),
        ({"net_amount": [None]}, r"\[net_amount\] has no value in \[1\] rows"),
        ({"investor_id": [None]}, r"\[investor_id\] has no value"),
    ):
        with pytest.raises(InvalidFrame, match=said):
            amounts.checked(pd.DataFrame(row | changed), ["net_amount"])


# ---------------------------------------------------------------------------------------------------------------- laws

CHANGES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(FULL),
        st.one_of(st.integers(-3, 3), st.integers(-20_000, 20_000), st.sampled_from([27_000, 18_000, -18_000])),
    ),
    max_size=4,
)
GIVEN = st.sets(st.sampled_from(FULL), min_size=1).map(lambda chosen: tuple(n for n in FULL if n in chosen))


@settings(max_examples=5)
@for_all(changes=CHANGES, missing=st.sets(st.integers(0, 2)), given=GIVEN, second=st.booleans())
def test_the_parts_of_every_difference_are_the_difference(
    changes: list[tuple[int, str, int]], missing: set[int], given: tuple[str, ...], second: bool
) -> None:
    theirs: list[list[Any]] = [list(row) for row in PAID]
    for place, name, change in changes:
        theirs[place][FULL.index(name) + 2] += change
    chosen = [
        (*row[:2], *(row[FULL.index(name) + 2] for name in given))
        for place, row in enumerate(theirs)
        if place not in missing
    ]
    days = [day_of(chosen, given)]
    if second:
        days.append(day_of(chosen, given, on=NEXT, repayments=[]))
    known = days[0][1]
    found = explain.of_period([day for day, _ in days], known)
    frames.check(found, frames.DIFFERENCES)
    for on, repayments in ((ON, [stories.REPAYMENT]), *([(NEXT, [])] if second else [])):
        world: dict[str, Any] = {"repayments": repayments}
        ours = amounts.added_up(shares_of(stories.day(on=on, **world), stories.inputs(**world)))
        wanted = amounts.differences(ours, paid(chosen, given)[0], known)
        of_day = found[found["settlement_date"] == pd.Timestamp(on)]
        sums = of_day.groupby(KEY)[AMOUNTS].sum().reset_index()
        sums = sums[(sums[AMOUNTS] != 0).any(axis=1)]
        assert sums.values.tolist() == wanted.values.tolist()
        assert set(of_day["investor_id"]) <= set(wanted["investor_id"])
