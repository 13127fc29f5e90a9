"""Matching: what each rule takes and leaves, and what holds for every set of lines and subjects."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settlement.domain import frames
from settlement.domain.bank import matching, statement
from settlement.domain.bank.matching import (
    Match,
    Mismatch,
    OpenLine,
    Subject,
    SubjectKind,
    Terms,
    close,
    exact,
    references,
    sums,
)
from settlement_lab.scores import matching_score

ON = date(2026, 2, 16)
E2E = "ST20260216001ABCDEFGHIJKLMNOP"


def line(line_id: str, amount: int, **said: Any) -> OpenLine:
    fields: dict[str, Any] = {"booking_date": ON, "currency": "KRW", "end_to_end_id": None, "reference": None}
    return OpenLine(line_id=line_id, amount=amount, **(fields | {"remittance": "", "is_return": False} | said))


def receipt(subject_id: str, amount: int, reference: str = "", **more: Any) -> Subject:
    fields: dict[str, Any] = {"kind": SubjectKind.RECEIPT, "currency": "KRW", "on": ON}
    return Subject(subject_id=subject_id, amount=amount, reference=reference, **(fields | more))


def payout(subject_id: str, amount: int, reference: str = E2E, **more: Any) -> Subject:
    return receipt(subject_id, -amount, reference, kind=SubjectKind.PAYOUT, **more)


def match(
    lines: Sequence[OpenLine],
    subjects: Sequence[Subject],
    *,
    taken: Sequence[Subject] = (),
    terms: Terms | None = None,
) -> tuple[list[Match], list[Mismatch]]:
    """Match records, and return the matches as records of which the rows are the parts."""
    found, mismatches = matching.match(
        frames.build(frames.OPEN_LINES, map(asdict, lines)),
        frames.build(frames.SUBJECTS, map(asdict, subjects)),
        taken=frames.build(frames.SUBJECTS, map(asdict, taken)),
        terms=terms,
    )
    line_of, ours = {x.line_id: x for x in lines}, {s.key: s for s in subjects}
    matches: dict[str, Match] = {}
    key = ("subject_kind", "subject_id", "occurrence")
    names = ("match_id", "line_id", *key, "amount", "currency", "reference", "rule")
    for match_id, line_id, kind, subject_id, time, amount, currency, reference, rule in frames.rows(found, *names):
        account = Subject(
            kind=SubjectKind(kind), subject_id=subject_id, amount=amount, currency=currency, reference=reference
        )
        before = matches.get(match_id, Match(lines=(), subjects=(), rule=rule, explanation=""))
        matches[match_id] = before._replace(
            lines=tuple(dict.fromkeys([*before.lines, line_of[line_id]])),
            subjects=tuple(dict.fromkeys([*before.subjects, ours.get((kind, subject_id, time), account)])),
        )
    parts = [(x.line_id, s.key, part, lacking) for one in matches.values() for x, s, part, lacking in one.parts()]
    rows = frames.rows(found, "line_id", *key, "amount", "difference")
    assert parts == [(line_id, (kind, of, time), part, lacking) for line_id, kind, of, time, part, lacking in rows]
    return list(matches.values()), mismatches


def told(matches: list[Match]) -> list[tuple[str, str, str]]:
    return sorted((line.line_id, subject.subject_id, m.rule) for m in matches for line, subject, _, _ in m.parts())


def causes(mismatches: list[Mismatch]) -> list[tuple[str, str, list[str]]]:
    return [(m.line.line_id, m.cause, [s.subject_id for s in m.candidates]) for m in mismatches]


@pytest.mark.parametrize(
    "remittance",
    [
        "ST20260216001ABCDEFGHIJKLMNOP",
        "st20260216001abcdefghijklmnop",
        "INVESTOR PAYOUT ST20260216001ABCDEF\nGHIJKLMNOP KRW",
        "ST 2026 0216 001 ABCD EFGH IJKL MNOP",
        "?20ST20260216001ABC?21DEFGHIJKLMNOP"[3:].replace("?21", " "),
        "EREF+ST20260216001-ABCDEFGHIJKLMNOP",
        "PAYOUT ST20260216001ABCDEFGH",
    ],
)
def test_our_reference_is_found_as_banks_mangle_it(remittance: str) -> None:
    matches, _ = match(
        [line("L1", -500, remittance=remittance)],
        [payout("P1", 500), payout("P2", 500, "ST20260216001ZZZZZZZZZZZZZZZZ")],
    )
    assert told(matches) == [("L1", "P1", "our_reference")]


def test_a_receipt_that_the_source_knows_by_the_banks_number_of_the_booking_is_found() -> None:
    matches, mismatches = match(
        [line("L1", 95000, bank_reference="20260216000417", remittance="홍길동")],
        [receipt("R1", 95000, "20260216000417"), receipt("R2", 95000, "20260216000418")],
    )
    assert (told(matches), mismatches) == ([("L1", "R1", "bank_reference_as_booking_number")], [])


def test_what_the_payer_says_counts_before_the_banks_number_of_the_booking() -> None:
    matches, _ = match(
        [line("L1", 95000, reference="REF-R2", bank_reference="REF-R1")],
        [receipt("R1", 95000, "REF-R1"), receipt("R2", 95000, "REF-R2")],
    )
    assert told(matches) == [("L1", "R2", "bank_reference")]


def test_a_number_of_a_booking_names_a_receipt_of_another_amount_and_only_as_a_whole() -> None:
    _, mismatches = match(
        [line("L1", 94000, bank_reference="20260216000417"), line("L2", 93000, bank_reference="99202602160004170")],
        [receipt("R1", 95000, "20260216000417")],
    )
    assert causes(mismatches) == [("L1", "amount_differs", ["R1"])]


def test_one_line_for_several_receipts_that_it_names() -> None:
    matches, _ = match(
        [line("L1", 300, remittance="REF-A REF-B")],
        [receipt("A", 100, "REF-A"), receipt("B", 200, "REF-B"), receipt("C", 300, "REF-C")],
    )
    assert told(matches) == [("L1", "A", "one_line_for_several"), ("L1", "B", "one_line_for_several")]


def test_several_lines_for_several_receipts_of_the_loan_that_they_name() -> None:
    matches, _ = match(
        [line("L1", 90, remittance="LOAN-0007"), line("L2", 210, remittance="loan-0007 상환")],
        [receipt("A", 100, "REF-A", group="LOAN-0007"), receipt("B", 200, "REF-B", group="LOAN-0007")],
    )
    assert [(m.rule, m.difference) for m in matches] == [("several_for_several", 0)]
    assert [(x.line_id, s.subject_id, part) for m in matches for x, s, part, _ in m.parts()] == [
        ("L1", "A", 90),
        ("L2", "A", 10),
        ("L2", "B", 200),
    ]


def test_two_sums_that_compete_are_ambiguous_and_list_their_candidates() -> None:
    matches, mismatches = match(
        [line("L1", 300, remittance="LOAN-0007")],
        [
            receipt("A", 100, "REF-A", group="LOAN-0007"),
            receipt("B", 200, "REF-B", group="LOAN-0007"),
            receipt("C", 200, "REF-C", group="LOAN-0007"),
        ],
    )
    assert matches == []
    assert causes(mismatches) == [("L1", "ambiguous", ["A", "B", "C"])]


def test_equal_lines_and_equal_receipts_of_one_loan_are_one_match() -> None:
    matches, _ = match(
        [line("L1", 100, remittance="LOAN-0007"), line("L2", 100, remittance="LOAN-0007")],
        [receipt("A", 100, "REF-A", group="LOAN-0007"), receipt("B", 100, "REF-B", group="LOAN-0007")],
    )
    assert [(len(m.lines), len(m.subjects), m.rule) for m in matches] == [(2, 2, "several_for_several")]


def test_a_payment_file_booked_as_one_line_is_its_payouts() -> None:
    matches, _ = match(
        [line("L1", -700, file_id="SF20260216AAAA")],
        [
            payout("P1", 500, E2E, group="SF20260216AAAA"),
            payout("P2", 200, "ST20260216001ZZZZZZZZZZZZZZZZ", group="SF20260216AAAA"),
        ],
    )
    assert told(matches) == [("L1", "P1", "one_line_for_several"), ("L1", "P2", "one_line_for_several")]


def test_a_search_beyond_its_bound_is_not_begun() -> None:
    many = [receipt(f"R{n:02d}", 2**n, f"REF-{n:02d}", group="LOAN-0007") for n in range(sums.MOST_SUBJECTS + 1)]
    matches, mismatches = match([line("L1", 3, remittance="LOAN-0007")], many)
    assert matches == []
    assert [m.cause for m in mismatches] == ["amount_differs"]
    matches, _ = match([line("L1", 2 ** len(many) - 1, remittance="LOAN-0007")], many)
    assert [len(m.subjects) for m in matches] == [len(many)]


@pytest.mark.parametrize(
    ("amount", "rule"), [(1000, "bank_reference"), (995, "tolerance"), (1005, "tolerance"), (994, None), (1006, None)]
)
def test_a_difference_is_tolerated_up_to_the_limit_and_no_further(amount: int, rule: str | None) -> None:
    terms = Terms(tolerance={"KRW": 5})
    matches, mismatches = match([line("L1", amount, reference="REF-A")], [receipt("A", 1000, "REF-A")], terms=terms)
    assert [(m.rule, m.difference) for m in matches] == ([(rule, 1000 - amount)] if rule else [])
    assert causes(mismatches) == ([] if rule else [("L1", "amount_differs", ["A"])])


def test_a_tolerance_in_parts_per_million_is_of_the_subject() -> None:
    terms = Terms(tolerance_ppm={"KRW": 5000})
    assert terms.tolerated([receipt("A", 1000)]) == 5
    assert terms.tolerated([receipt("A", 199)]) == 0
    assert terms.tolerated([receipt("A", 199), receipt("B", 1)]) == 1


def test_amount_and_date_alone_match_only_where_nothing_speaks_against_it() -> None:
    bare = line("L1", 100)
    assert told(match([bare], [receipt("A", 100, "REF-A")])[0]) == [("L1", "A", "amount_and_date")]
    assert match([replace(bare, reference="RENT")], [receipt("A", 100, "REF-A")])[0] == []
    assert match([bare], [receipt("A", 100, "REF-A", on=date(2026, 2, 20))])[0] == []
    matches, mismatches = match([bare, replace(bare, line_id="L2")], [receipt("A", 100, "REF-A")])
    assert matches == []
    assert causes(mismatches) == [("L1", "ambiguous", ["A"]), ("L2", "ambiguous", ["A"])]


# By exact rule: the one line and the one subject that it pairs.
PAIRED: Mapping[str, tuple[OpenLine, Subject]] = {
    "end_to_end_id": (line("L1", -100, end_to_end_id=E2E), payout("P1", 100)),
    "bank_reference": (line("L1", 100, reference="REF-A1"), receipt("A", 100, "REF-A1")),
    "bank_reference_as_end_to_end_id": (line("L1", 100, end_to_end_id="REF-A1"), receipt("A", 100, "REF-A1")),
    "bank_reference_as_booking_number": (line("L1", 100, bank_reference="REF-A1"), receipt("A", 100, "REF-A1")),
}


@pytest.mark.parametrize("rule", PAIRED)
def test_the_very_reference_and_amount_and_currency_are_paired_and_nothing_less(rule: str) -> None:
    shown, ours = PAIRED[rule]

    def rules(*lines: OpenLine) -> list[str]:
        return [found.rule for found in match(lines, [ours])[0]]

    assert rules(shown) == [rule]
    assert rules(replace(shown, amount=shown.amount - 1)) == []
    assert rules(replace(shown, currency="EUR")) == []


def test_a_line_and_a_receipt_that_both_carry_no_reference_share_none() -> None:
    matches, _ = match([line("L1", 100, reference="")], [receipt("A", 100)])
    assert told(matches) == [("L1", "A", "amount_and_date")]


def test_every_exact_rule_is_seen_pairing() -> None:
    assert set(PAIRED) == {rule.name for rule in exact.EXACT_RULES}


# By rule of close reading: the fewest lines and subjects of which it matches the first line and no other rule does.
READ_CLOSELY: Mapping[str, tuple[list[OpenLine], list[Subject], Terms]] = {
    "by_our_reference": (
        [line("L1", 100, remittance="ref a1"), line("L2", 100, remittance="ref a1")],
        [receipt("A", 100, "REF-A1")],
        Terms(),
    ),
    "by_sums": (
        [line("L1", 4, remittance="LOAN-0007")],
        [receipt("A", 2, "REF-A1", group="LOAN-0007"), receipt("B", 2, "REF-B1", group="LOAN-0007")],
        Terms(),
    ),
    "by_tolerance": (
        [line("L1", 99, remittance="REF-A1")],
        [receipt("A", 100, "REF-A1")],
        Terms(tolerance={"KRW": 1}),
    ),
    "by_amount_and_date": ([line("L1", 100)], [receipt("A", 100, "REF-A1")], Terms()),
}


@pytest.mark.parametrize("rule", READ_CLOSELY)
def test_what_a_rule_of_close_reading_matches_nothing_matches_without_it(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, subjects, terms = READ_CLOSELY[rule]
    (found,), _ = match(lines, subjects, terms=terms)
    assert (found.lines, list(found.subjects)) == ((lines[0],), subjects)
    others = tuple(other for other in close.CLOSE_RULES if other.__name__ != rule)
    monkeypatch.setattr(close, "CLOSE_RULES", others)
    assert match(lines, subjects, terms=terms)[0] == []


@pytest.mark.parametrize("rule", READ_CLOSELY)
def test_lines_with_one_won_too_little_are_matched_by_no_rule(rule: str) -> None:
    lines, subjects, terms = READ_CLOSELY[rule]
    short = [replace(line, amount=line.amount - 1) for line in lines]
    assert match(short, subjects, terms=terms)[0] == []


def test_every_rule_of_close_reading_is_seen_matching() -> None:
    assert set(READ_CLOSELY) == {rule.__name__ for rule in close.CLOSE_RULES}


def test_the_days_between_are_those_of_the_terms() -> None:
    terms = Terms(within_days=1, days_apart=lambda first, last: 1)
    late = line("L1", 100, booking_date=date(2026, 2, 23))
    assert told(match([late], [receipt("A", 100)], terms=terms)[0]) == [("L1", "A", "amount_and_date")]


def test_a_payout_without_its_id_is_known_by_its_payees_account_alone() -> None:
    bare = line("L1", -100, remittance="PAYMENT")
    assert match([bare], [payout("P1", 100, account="110-1")])[0] == []
    known = replace(bare, counterparty_account="1101")
    assert told(match([known], [payout("P1", 100, account="110-1")])[0]) == [("L1", "P1", "amount_and_date")]


def test_a_charge_is_the_banks_own_whatever_else_it_names() -> None:
    matches, mismatches = match([line("L1", -500, end_to_end_id=E2E, is_charge=True)], [payout("P1", 500)])
    assert told(matches) == [("L1", "bank_charges", "bank_charge")]
    assert mismatches == []


def test_of_equal_lines_the_earliest_is_it_and_the_others_are_duplicates() -> None:
    later = line("L1", 100, reference="REF-A", booking_date=date(2026, 2, 17))
    matches, mismatches = match([later, line("L2", 100, reference="REF-A")], [receipt("A", 100, "REF-A")])
    assert told(matches) == [("L2", "A", "bank_reference")]
    assert causes(mismatches) == [("L1", "duplicate_line", ["A"])]


def test_of_equal_lines_that_tell_their_reference_in_a_text_the_others_are_duplicates_too() -> None:
    said = {"remittance": "transfer REF-A1\nrepayment"}
    matches, mismatches = match([line("L1", 100, **said), line("L2", 100, **said)], [receipt("A", 100, "REF-A1")])
    assert told(matches) == [("L1", "A", "our_reference")]
    assert causes(mismatches) == [("L2", "duplicate_line", ["A"])]


THE_ID, ANOTHER_ID = "ST20260216001ABCDEFGHIJKLMNOP", "ST20260216001ZZZZZZZZZZZZZZZZ"


@pytest.mark.parametrize(
    ("said", "end_to_end_id"),
    [
        ({"remittance": f"펌뱅킹\n{THE_ID}"}, THE_ID),
        ({"remittance": "st 2026 0216 001 abcd\nefgh-ijkl mnop KRW"}, THE_ID),
        ({"reference": THE_ID}, THE_ID),
        ({"end_to_end_id": f"{THE_ID} uitbetaling"}, THE_ID),
        ({"end_to_end_id": "THEIRS-1", "remittance": f"return of {THE_ID}"}, THE_ID),
        ({"end_to_end_id": THE_ID, "remittance": f"return of {THE_ID}"}, THE_ID),
        ({"remittance": f"{THE_ID} {ANOTHER_ID}"}, None),
        ({"end_to_end_id": "REF-R1", "remittance": "ST20260216001ABC"}, "REF-R1"),
        ({"remittance": "rent"}, None),
    ],
)
def test_the_one_payout_that_a_line_names_anywhere_is_what_it_is_about(
    said: dict[str, Any], end_to_end_id: str | None
) -> None:
    told_so = statement.Movement(booking_date=ON, value_date=None, amount=-500, **said)
    read = statement.prove(
        statement_id="S-1",
        sequence=None,
        account="KR23",
        currency="KRW",
        business_date=ON,
        from_date=None,
        to_date=None,
        opening=500,
        closing=0,
        movements=[told_so],
    )
    found = references.naming_payouts(replace(read, otherwise=read))
    assert found.otherwise is not None
    assert [one.lines[0].end_to_end_id for one in (found, found.otherwise)] == [end_to_end_id] * 2
    assert (found.content_key, found.lines[0].line_id) == (read.content_key, read.lines[0].line_id)


amounts = st.integers(1, 6).map(lambda n: n * 100) | st.integers(-6, -1).map(lambda n: n * 100)
some_references = st.sampled_from(["REF-A", "REF-B", "REF-C", "REF-AB", "LOAN-0007", "", "RENT 12", "REF-A REF-B", E2E])
some_lines = st.lists(
    st.builds(
        lambda amount, text, place, day, account: {
            "amount": amount,
            "counterparty_account": account,
            "booking_date": date(2026, 2, day),
            ("remittance", "reference", "end_to_end_id")[place]: text,
        },
        amounts,
        some_references,
        st.integers(0, 2),
        st.integers(16, 18),
        st.sampled_from([None, "110-1", "110-2"]),
    ),
    max_size=7,
)
some_subjects = st.lists(
    st.tuples(amounts, st.sampled_from(["REF-A", "REF-B", "REF-C", "REF-AB", "", E2E]), st.booleans()), max_size=7
)


def made(lines: list[dict[str, Any]], subjects: list[tuple[int, str, bool]]) -> tuple[list[OpenLine], list[Subject]]:
    return (
        [line(f"L{place}", **said) for place, said in enumerate(lines)],
        [
            receipt(f"S{place}", amount, reference, group="LOAN-0007" if of_loan else None)
            for place, (amount, reference, of_loan) in enumerate(subjects)
        ],
    )


@given(some_lines, some_subjects, st.randoms())
@settings(deadline=None, max_examples=50)
def test_a_line_and_a_subject_are_matched_once_and_sums_agree_in_whatever_order_they_come(
    said: list[dict[str, Any]], about: list[tuple[int, str, bool]], random: Any
) -> None:
    lines, subjects = made(said, about)
    terms = Terms(tolerance={"KRW": 100})
    matches, mismatches = match(lines, subjects, terms=terms)
    matched = [x.line_id for m in matches for x in m.lines]
    assert len(matched) == len(set(matched))
    assert not {m.line.line_id for m in mismatches} & set(matched)
    taken = [s.key for m in matches for s in m.subjects]
    assert len(taken) == len(set(taken))
    for found in matches:
        assert abs(found.difference) <= (100 if found.rule == "tolerance" else 0)
        parts = list(found.parts())
        for one in found.lines:
            assert sum(part for x, _, part, _ in parts if x is one) == one.amount
        for subject in found.subjects:
            assert sum(part + lacking for _, s, part, lacking in parts if s is subject) == subject.amount
    random.shuffle(lines)
    random.shuffle(subjects)
    assert match(lines, subjects, terms=terms) == (matches, mismatches)


@given(some_lines, some_subjects, st.lists(st.integers(1, 3), min_size=7, max_size=7))
@settings(deadline=None, max_examples=25)
def test_the_result_does_not_depend_on_how_lines_were_split_into_statements(
    said: list[dict[str, Any]], about: list[tuple[int, str, bool]], statement_of: list[int]
) -> None:
    def outcome(statements: list[int]) -> tuple[list[Any], list[Any]]:
        lines, subjects = made(said, about)
        # As the readers of statements do it: an id is made of the statement, of what the line says, and of a count.
        seen: Counter[tuple[int, str]] = Counter()
        named = []
        for found, number in zip(lines, statements, strict=False):
            text = repr(found.place[:-1])
            seen[number, text] += 1
            line_id = statement.line_id(f"S{number}", "KR23", text, occurrence=seen[number, text])
            named.append(replace(found, line_id=line_id))
        matches, mismatches = match(named, subjects, terms=Terms(tolerance={"KRW": 100}))
        return (
            sorted((x.place[:-1], s.key, part, m.rule) for m in matches for x, s, part, _ in m.parts()),
            sorted((m.line.place[:-1], m.cause, [s.key for s in m.candidates]) for m in mismatches),
        )

    assert outcome(statement_of) == outcome([1] * len(said))


def test_the_labelled_statements_are_matched_without_a_false_match() -> None:
    scores = {score.kind: score for score in matching_score.score(seed=11, lines=3000)}
    assert [score.kind for score in scores.values() if score.false] == []
    assert scores["all"].recall >= 0.98


def test_exact_lines_are_matched_in_less_than_twice_the_time_of_the_join_of_their_keys() -> None:
    speed = matching_score.speed(lines=200_000, repeats=5)
    assert speed.matched == 200_000
    assert speed.ratio < 2


@pytest.mark.parametrize("code", ["ACMT/MDOP/INTR", "LDAS/INTR/OTHR", "NINT", "NINT+818"])
def test_a_code_of_interest_is_a_whole_word_of_its_scheme(code: str) -> None:
    matches, _ = match([line("L1", 7, bank_code=code)], [])
    assert told(matches) == [("L1", "bank_interest", "bank_interest")]


@pytest.mark.parametrize("code", ["INTRABANK", "PMNT/RCDT/INTRA", "NPRINT", "XINTR", "MSC+INT"])
def test_a_code_with_interest_in_a_part_of_a_word_is_none(code: str) -> None:
    matches, _ = match([line("L1", 500, reference="REF-R1", bank_code=code)], [receipt("R1", 500, "REF-R1")])
    assert told(matches) == [("L1", "R1", "bank_reference")]


def test_a_payout_is_known_by_its_id_whatever_the_code_of_its_line() -> None:
    matches, _ = match([line("L1", -500, end_to_end_id=E2E, bank_code="ACMT/MDOP/INTR")], [payout("P1", 500)])
    assert told(matches) == [("L1", "P1", "end_to_end_id")]
