"""Matching where one reference says too little: several receipts under it, several lines for one, a group less a fee,
references as payers write them, and no reference at all.
"""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settlement.domain.bank.matching import OpenLine, Subject, Terms
from settlement.domain.bank.matching.spelling import Spelling

from .test_matching import E2E, causes, line, match, payout, receipt, told

VA = "VA-110-77"
SAYING = pytest.mark.parametrize(
    ("said", "rule"), [({"reference": VA}, "bank_reference"), ({"remittance": "va 110 77 Rate"}, "our_reference")]
)
"""A reference in its place, which is matched on whole columns, and in the text, which is read closely."""


def on(day: int, month: int = 2) -> date:
    return date(2026, month, day)


def shown(line_id: str, day: int, amount: int = 95000, **said: Any) -> OpenLine:
    return line(line_id, amount, booking_date=on(day), **said)


def came(subject_id: str, day: date, amount: int = 95000, **more: Any) -> Subject:
    return receipt(subject_id, amount, VA, on=day, **more)


# ------------------------------------------------------------------------- several receipts under one reference


@SAYING
def test_of_several_receipts_under_one_reference_a_line_is_that_of_the_nearest_day(
    said: dict[str, Any], rule: str
) -> None:
    matches, mismatches = match([shown("L1", 16, **said)], [came("R1", on(16)), came("R0", on(13)), came("R2", on(18))])
    assert (told(matches), mismatches) == ([("L1", "R1", rule)], [])


@SAYING
def test_each_of_several_lines_is_the_receipt_of_its_own_day(said: dict[str, Any], rule: str) -> None:
    matches, mismatches = match(
        [shown("L1", 18, **said), shown("L2", 16, **said)], [came("R1", on(16)), came("R2", on(17))]
    )
    assert (told(matches), mismatches) == ([("L1", "R2", rule), ("L2", "R1", rule)], [])


@SAYING
def test_the_amount_tells_receipts_of_one_day_apart(said: dict[str, Any], rule: str) -> None:
    matches, _ = match([shown("L1", 16, **said)], [came("R1", on(16), 94000), came("R2", on(16))])
    assert told(matches) == [("L1", "R2", rule)]


@SAYING
def test_receipts_that_are_equally_near_are_ambiguous(said: dict[str, Any], rule: str) -> None:
    matches, mismatches = match([shown("L1", 16, **said)], [came("R1", on(15)), came("R2", on(17))])
    assert (matches, causes(mismatches)) == ([], [("L1", "ambiguous", ["R1", "R2"])])


@SAYING
def test_a_receipt_under_a_shared_reference_is_at_most_ten_days_from_its_line(said: dict[str, Any], rule: str) -> None:
    eleven, ten = date(2026, 2, 5), date(2026, 2, 6)
    assert match([shown("L1", 16, **said)], [came("R1", eleven), came("R0", on(1, 1))]) == ([], [])
    assert told(match([shown("L1", 16, **said)], [came("R1", ten), came("R0", on(1, 1))])[0]) == [("L1", "R1", rule)]


@SAYING
def test_a_reference_that_is_one_receipts_alone_says_enough_at_any_distance(said: dict[str, Any], rule: str) -> None:
    assert told(match([shown("L1", 16, **said)], [came("R1", on(2, 1))])[0]) == [("L1", "R1", rule)]


@SAYING
def test_receipts_that_have_their_lines_share_the_reference_too(said: dict[str, Any], rule: str) -> None:
    """The line's own receipt is recorded late: an older one without its line is not taken for it."""
    older, known = came("R1", on(2)), [came("R0", on(15, 1))]
    assert match([shown("L1", 16, **said)], [older], taken=known) == ([], [])
    assert told(match([shown("L1", 16, **said)], [older, came("R2", on(16))], taken=known)[0]) == [("L1", "R2", rule)]


def test_as_many_equal_lines_as_receipts_of_one_day_are_one_match() -> None:
    lines = [shown("L1", 16, reference=VA), shown("L2", 16, reference=VA)]
    matches, mismatches = match(lines, [came("R1", on(16)), came("R2", on(16))])
    assert [(len(m.lines), len(m.subjects), m.rule) for m in matches] == [(2, 2, "several_for_several")]
    assert mismatches == []


def test_the_days_between_receipts_under_one_reference_are_those_of_the_terms() -> None:
    terms = Terms(shared_within_days=0, days_apart=lambda first, last: abs((last - first).days) // 7)
    matches, _ = match([shown("L1", 20, reference=VA)], [came("R1", on(16)), came("R0", on(9))], terms=terms)
    assert told(matches) == [("L1", "R1", "bank_reference")]


# ------------------------------------------------------------------------------------ several lines for one receipt


@SAYING
def test_of_equal_lines_the_one_whose_day_fits_is_it_and_an_earlier_one_is_a_duplicate(
    said: dict[str, Any], rule: str
) -> None:
    matches, mismatches = match([shown("L1", 12, **said), shown("L2", 16, **said)], [came("R1", on(16))])
    assert told(matches) == [("L2", "R1", rule)]
    assert causes(mismatches) == [("L1", "duplicate_line", ["R1"])]


@SAYING
def test_lines_of_several_days_that_fit_equally_well_are_ambiguous(said: dict[str, Any], rule: str) -> None:
    matches, mismatches = match([shown("L1", 15, **said), shown("L2", 17, **said)], [came("R1", on(16))])
    assert (matches, causes(mismatches)) == ([], [("L1", "ambiguous", ["R1"]), ("L2", "ambiguous", ["R1"])])


def test_of_several_debits_of_a_payout_the_earliest_is_it_whatever_day_was_expected() -> None:
    lines = [line(f"L{day}", -100, booking_date=on(day), end_to_end_id=E2E) for day in (17, 16, 15)]
    matches, mismatches = match(lines, [payout("P1", 100, on=on(17))])
    assert told(matches) == [("L15", "P1", "end_to_end_id")]
    assert causes(mismatches) == [("L16", "duplicate_line", ["P1"]), ("L17", "duplicate_line", ["P1"])]


days = st.integers(1, 28).map(on)
some_days = st.lists(st.tuples(days, st.sampled_from([95000, 94000])), max_size=5)


@given(some_days, some_days, some_days, st.randoms())
@settings(deadline=None, max_examples=20)
def test_what_days_tell_apart_depends_on_no_order_and_is_the_same_on_columns_and_read_closely(
    lines: list[tuple[date, int]], free: list[tuple[date, int]], taken: list[tuple[date, int]], random: Any
) -> None:
    receipts = [came(f"R{number}", day, amount) for number, (day, amount) in enumerate(free)]
    known = [came(f"T{number}", day, amount) for number, (day, amount) in enumerate(taken)]

    def found(rule: str, **said: str) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, list[str]]]]:
        said_so = [line(f"L{n}", amount, booking_date=day, **said) for n, (day, amount) in enumerate(lines)]
        first = match(said_so, receipts, taken=known)
        for rows in (said_so, receipts, known):
            random.shuffle(rows)
        assert match(said_so, receipts, taken=known) == first
        pairs = [(one, other, "by days" if by == rule else by) for one, other, by in told(first[0])]
        return pairs, causes(first[1])

    pairs, why = found("bank_reference", reference=VA)
    assert found("our_reference", remittance=VA) == (pairs, why)
    day_of = {f"{of}{n}": day for of, rows in (("L", lines), ("R", free)) for n, (day, _) in enumerate(rows)}
    if len(free) + len(taken) > 1:
        apart = [abs(day_of[one] - day_of[other]) for one, other, by in pairs if by == "by days"]
        assert max(apart, default=timedelta(0)) <= timedelta(10)


# ------------------------------------------------------------------------------------------ a group less a fee


def test_a_batch_that_is_booked_less_the_collectors_fee_is_its_receipts_and_a_difference() -> None:
    receipts = [receipt("A", 30000, group="LOAN-0007"), receipt("B", 20000, group="LOAN-0007")]
    (found,), mismatches = match(
        [line("L1", 49901, remittance="LOAN-0007 collected")], receipts, terms=Terms(tolerance={"KRW": 99})
    )
    assert (found.rule, mismatches) == ("tolerance", [])
    assert [(s.subject_id, part, lacking) for _, s, part, lacking in found.parts()] == [
        ("A", 29901, 99),
        ("B", 20000, 0),
    ]


@pytest.mark.parametrize("amount", [49900, 50001])
def test_a_batch_is_tolerated_less_a_fee_up_to_the_limit_and_never_more(amount: int) -> None:
    receipts = [receipt("A", 30000, group="LOAN-0007"), receipt("B", 20000, group="LOAN-0007")]
    matches, mismatches = match(
        [line("L1", amount, remittance="LOAN-0007")], receipts, terms=Terms(tolerance={"KRW": 99})
    )
    assert (matches, causes(mismatches)) == ([], [("L1", "amount_differs", ["A", "B"])])


def test_a_batch_that_two_lines_name_is_not_tolerated_for_either() -> None:
    receipts = [receipt("A", 30000, group="LOAN-0007"), receipt("B", 20000, group="LOAN-0007")]
    lines = [line("L1", 49901, remittance="LOAN-0007"), line("L2", 700, remittance="LOAN-0007")]
    assert match(lines, receipts, terms=Terms(tolerance={"KRW": 99}))[0] == []


def test_a_payment_file_that_is_booked_with_its_fee_is_its_payouts() -> None:
    payouts = [payout("P1", 500, E2E, group="SF1"), payout("P2", 200, "ST20260216001ZZZZZZZZZZZZZZZZ", group="SF1")]
    (found,), _ = match([line("L1", -705, file_id="SF1")], payouts, terms=Terms(tolerance={"KRW": 5}))
    assert [(s.subject_id, part, lacking) for _, s, part, lacking in found.parts()] == [
        ("P1", -505, 5),
        ("P2", -200, 0),
    ]


# ------------------------------------------------------------------------------------------ without a reference


@pytest.mark.parametrize("place", ["reference", "end_to_end_id", "remittance"])
def test_a_receipt_without_a_reference_is_no_line_that_says_something(place: str) -> None:
    assert match([line("L1", 100, **{place: "Kim, rent"})], [receipt("A", 100)]) == ([], [])


def test_a_receipt_without_a_reference_is_the_one_line_that_says_nothing_and_fits() -> None:
    assert told(match([line("L1", 100)], [receipt("A", 100)])[0]) == [("L1", "A", "amount_and_date")]


def test_a_line_with_the_account_of_a_receipt_is_it_whatever_it_says() -> None:
    ours = [receipt("A", 100, account="110-1")]
    said = line("L1", 100, remittance="Kim, rent", counterparty_account="1101")
    assert told(match([said], ours)[0]) == [("L1", "A", "amount_and_date")]
    assert match([line("L1", 100, counterparty_account="110-2")], ours) == ([], [])


# ------------------------------------------------------------------------------------- references as payers write them

INVOICES = Spelling(ours="INV-{number:06}", written=("Invoice #{number}", "{number}"))


@pytest.mark.parametrize(
    "said", ["INV-422", "inv 422", "INV-000422 Kim", "Invoice #422", "INVOICE NO-DOT INV422.", "invoice 0422", " 422 "]
)
def test_a_declared_reference_is_read_without_its_zeros_in_capitals_or_not_and_with_any_signs(said: str) -> None:
    assert set(INVOICES.read(said)) == {"INV-000422"}
    matches, _ = match(
        [line("L1", 100, remittance=said)],
        [receipt("A", 100, "INV-000422"), receipt("B", 100, "INV-000042")],
        terms=Terms(spellings=(INVOICES,)),
    )
    assert told(matches) == [("L1", "A", "our_reference")]


@pytest.mark.parametrize("said", ["REINV-422", "INV-422A", "Kim 422", "INV-", "2026-422", "Invoice number"])
def test_what_is_not_as_declared_is_no_reference(said: str) -> None:
    assert INVOICES.read(said) == []


def test_a_declared_reference_that_is_not_there_is_not_taken_for_the_shorter_one_in_it() -> None:
    terms = Terms(spellings=(Spelling(ours="INV-{number}"),))
    receipts = [receipt("A", 100, "INV-42")]
    assert match([line("L1", 100, remittance="INV-422")], receipts, terms=terms) == ([], [])
    assert told(match([line("L1", 100, remittance="INV-042")], receipts, terms=terms)[0]) == [
        ("L1", "A", "our_reference")
    ]


def test_a_source_that_knows_numbers_alone_is_found_by_the_prefix_that_payers_write() -> None:
    terms = Terms(spellings=(Spelling(ours="{number}", written=("Invoice #{number}",)),), tolerance={"KRW": 1})
    matches, _ = match(
        [line("L1", 99, remittance="Invoice #269, Kim")],
        [receipt("A", 100, "269"), receipt("B", 100, "26")],
        terms=terms,
    )
    assert told(matches) == [("L1", "A", "tolerance")]


def test_what_speaks_of_several_kinds_of_references_is_each_of_them() -> None:
    kinds = (INVOICES, Spelling(ours="LN2-{number:04}", written=("Loan {number}",)))
    matches, _ = match(
        [line("L1", 300, remittance="Invoice #7 and Loan 7")],
        [receipt("A", 100, "INV-000007"), receipt("B", 200, "LN2-0007")],
        terms=Terms(spellings=kinds),
    )
    assert told(matches) == [("L1", "A", "one_line_for_several"), ("L1", "B", "one_line_for_several")]
