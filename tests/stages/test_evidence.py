"""What a bank does with a payout beside paying it: twice, back, less, more, never, and all of it in another order.

The worked day owes A 43 790, B 26 736 and C 17 524, together 88 050; the custody account holds what the story says.
The slow ones take half a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from settlement.adapters.bank.channels.http import judge
from settlement.domain.bank.messages import Submission, SubmissionOutcome
from settlement.domain.errors import Refused
from settlement.ports.days import DayRun
from settlement.stages import breaks, gate, inquire, submit

from .payout_stories import DAY, MORNING, ON, file_of, returned, status_report, use_policy
from .spoken_bank import RECEIPT, Entry, Spoken, in_every_format, spoken, where_a_day_may_be_empty

__all__ = ["spoken"]

PAID = [("A", 43790, 1, "booked"), ("B", 26736, 1, "booked"), ("C", 17524, 1, "booked")]


def worked_day(spoken: Spoken, *, opening: int = 1_000_000) -> None:
    """Settle the worked day and let the bank accept its payouts."""
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8"))
    spoken.closing = opening
    spoken.statement(ON, RECEIPT)
    spoken.settle(ON, at=MORNING)
    spoken.accept()
    spoken.hear("2026-02-17T07:00+09:00")


def debits(spoken: Spoken, *investors: str) -> list[Entry]:
    """The lines that show payouts of the worked day leaving."""
    amounts = {"A": 43790, "B": 26736, "C": 17524}
    return [Entry(-amounts[investor], e2e=spoken.e2e(investor)) for investor in investors]


def receipt_of_the_20th(spoken: Spoken, amount: int) -> Entry:
    """Let the source know a receipt for an instalment of principal, and return the line that shows it."""
    spoken.source(
        "insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount)"
        " values ('L1-2-P', 'L1', 2, 'principal', '2026-02-20', :amount)",
        amount=amount,
    )
    spoken.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R2', 'L1', '2026-02-20 11:00+09', :amount, 'REF-R2')",
        amount=amount,
    )
    return Entry(amount, ref="REF-R2")


def in_transit(spoken: Spoken) -> int:
    return spoken.balances().get("payouts_in_transit", 0)


# ------------------------------------------------------------------------------------- doubled, and corrected again


@in_every_format
def test_a_doubled_debit_that_is_corrected_leaves_its_payout_booked(spoken: Spoken) -> None:
    worked_day(spoken)
    a = spoken.e2e("A")
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"), Entry(-43790, e2e=a))
    spoken.hear("2026-02-20T05:00+09:00")
    assert spoken.payouts() == PAID
    assert spoken.breaks() == [("duplicate_line", "line", -43790)]
    spoken.statement("2026-02-20", Entry(43790, e2e=a, is_reversal=True))
    spoken.hear("2026-02-21T05:00+09:00")
    assert spoken.payouts() == PAID
    assert spoken.breaks() == []
    assert (in_transit(spoken), spoken.balances().get("suspense", 0)) == (0, 0)
    assert spoken.verify() == []


@in_every_format
def test_a_payment_file_that_is_booked_as_one_line_books_its_payouts_and_each_may_come_back(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", Entry(-88050, file=file_of(spoken)))
    spoken.hear("2026-02-20T05:00+09:00")
    assert spoken.payouts() == PAID
    spoken.statement("2026-02-20", Entry(26736, e2e=spoken.e2e("B"), reason="MS03"))
    spoken.hear("2026-02-21T05:00+09:00")
    assert [row[3] for row in spoken.payouts()] == ["booked", "returned", "booked"]
    assert spoken.breaks() == [("late_return", "payout", 26736)]
    assert (in_transit(spoken), spoken.verify()) == (0, [])


@in_every_format
def test_a_fee_that_names_a_payout_shows_nothing_of_it(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "B", "C"), Entry(-500, e2e=spoken.e2e("A"), text="fee"))
    spoken.hear("2026-02-20T05:00+09:00")
    assert spoken.payouts()[0] == ("A", 43790, 1, "accepted")
    assert spoken.breaks() == [("amount_differs", "line", -500)]
    with spoken.services() as services, services.ledger.books(read_only=True) as books:
        assert gate._under_way(services, books, gate.newest_statement(services, books)) == {"KRW": 43790}


@in_every_format
def test_a_debit_after_a_return_takes_the_money_again(spoken: Spoken) -> None:
    worked_day(spoken)
    a = spoken.e2e("A")
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.statement("2026-02-20", Entry(43790, e2e=a, reason="MS03"))
    spoken.hear("2026-02-21T05:00+09:00")
    assert spoken.payouts() == [("A", 43790, 1, "returned"), *PAID[1:]]
    assert spoken.balances()["investor_payable:A"] == -43790
    spoken.statement("2026-02-23", Entry(-43790, e2e=a))
    spoken.hear("2026-02-24T05:00+09:00")
    assert spoken.payouts() == PAID
    assert "investor_payable:A" not in spoken.balances()
    assert (in_transit(spoken), spoken.breaks(), spoken.verify()) == (0, [], [])


@in_every_format
def test_a_rejected_payout_that_was_paid_again_and_is_booked_overdraws_its_payee(spoken: Spoken) -> None:
    worked_day(spoken)
    report = status_report(
        "P-late", spoken.rows("select file_id from ledger.payout_files")[0][0], {spoken.e2e("A"): ("RJCT", "AM04")}
    )
    spoken.say(report, kind="pain.002")
    spoken.statement("2026-02-19", *debits(spoken, "B", "C"))
    spoken.settle("2026-02-19", at="2026-02-20T06:00+09:00", run_id="run-2")
    assert [row for row in spoken.payouts() if row[0] == "A"] == [
        ("A", 43790, 1, "rejected"),
        ("A", 43790, 2, "submitted"),
    ]
    spoken.statement("2026-02-20", *debits(spoken, "A"), Entry(-43790, e2e=spoken.e2e("A", 2)))
    spoken.hear("2026-02-21T05:00+09:00")
    assert [row[3] for row in spoken.payouts()] == ["booked"] * 4
    assert spoken.balances()["investor_payable:A"] == 43790
    assert ("investor_overdrawn", "investor", 43790) in spoken.breaks()
    assert spoken.verify() == []


@in_every_format
def test_a_credit_that_comes_before_its_debit_waits_in_suspense_for_it(spoken: Spoken) -> None:
    worked_day(spoken)
    a = spoken.e2e("A")
    spoken.statement("2026-02-19", *debits(spoken, "B", "C"), Entry(43790, e2e=a, reason="MS03"))
    spoken.hear("2026-02-20T05:00+09:00")
    assert spoken.payouts()[0] == ("A", 43790, 1, "accepted")
    assert spoken.breaks() == [("unknown_at_bank", "line", 43790)]
    spoken.statement("2026-02-20", *debits(spoken, "A"))
    spoken.hear("2026-02-21T05:00+09:00")
    assert spoken.payouts()[0] == ("A", 43790, 1, "returned")
    assert (in_transit(spoken), spoken.breaks(), spoken.verify()) == (0, [], [])


# ------------------------------------------------------------------------------- booked elsewhere by a person, and then


@in_every_format
def test_a_credit_that_was_written_off_proves_its_payout_returned_once_the_debit_comes(spoken: Spoken) -> None:
    worked_day(spoken)
    a = spoken.e2e("A")
    spoken.statement("2026-02-19", *debits(spoken, "B", "C"), Entry(43790, e2e=a, reason="MS03"))
    spoken.hear("2026-02-20T05:00+09:00")
    number = spoken.break_of("unknown_at_bank", "line")
    now = spoken.at("2026-02-20T08:00+09:00")
    with spoken.services() as services:
        breaks.write_off(services, number, reason="the bank cannot say what it is", by="kim", now=now)
        breaks.approve(services, number, by="lee", now=now)
    spoken.statement("2026-02-20", *debits(spoken, "A"))
    spoken.hear("2026-02-21T05:00+09:00")
    assert spoken.payouts()[0] == ("A", 43790, 1, "returned")
    assert spoken.rows(
        "select l.amount from ledger.payout_history h"
        " join ledger.statement_lines l on l.line_id = h.evidence->>'line_id'"
        " where h.to_state = 'returned'"
    ) == [(43790,)]
    assert spoken.verify() == []


@in_every_format
def test_a_payout_is_booked_on_the_day_of_its_first_debit_also_if_that_is_told_later_and_booked_elsewhere(
    spoken: Spoken,
) -> None:
    worked_day(spoken)
    a, before = spoken.e2e("A"), spoken.closing
    spoken.closing = before - 43790
    spoken.statement("2026-02-20", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-21T05:00+09:00")
    booked_on = "select booked_on from ledger.payouts where payee_id = 'A'"
    assert spoken.rows(booked_on) == [(date(2026, 2, 20),)]
    after, spoken.closing = spoken.closing, before
    spoken.statement("2026-02-19", Entry(-43790, e2e=a))
    spoken.closing = after
    spoken.hear("2026-02-21T06:00+09:00")
    assert spoken.breaks() == [("duplicate_line", "line", -43790)]
    assert (spoken.rows(booked_on), spoken.verify()) == ([(date(2026, 2, 19),)], [])
    number = spoken.break_of("duplicate_line", "line")
    now = spoken.at("2026-02-21T08:00+09:00")
    with spoken.services() as services:
        breaks.write_off(services, number, reason="the bank gives nothing back", by="kim", now=now)
        breaks.approve(services, number, by="lee", now=now)
    spoken.hear("2026-02-21T09:00+09:00")
    assert spoken.payouts() == PAID
    assert (spoken.rows(booked_on), spoken.breaks(), spoken.verify()) == ([(date(2026, 2, 19),)], [], [])


# --------------------------------------------------------------------------------------------- announced and not come


@where_a_day_may_be_empty
def test_an_announced_return_whose_credit_never_comes_is_missing_until_two_people_write_it_off(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    spoken.say(returned(spoken.e2e("A"), 43790), kind="pacs.004")
    spoken.hear("2026-02-20T05:30+09:00")
    assert spoken.payouts()[0] == ("A", 43790, 1, "returned")
    assert ("missing_at_bank", "payout", 43790) not in spoken.breaks()
    spoken.statement("2026-02-20")
    spoken.statement("2026-02-23")
    spoken.hear("2026-02-24T05:00+09:00")
    assert ("missing_at_bank", "payout", 43790) in spoken.breaks()
    number = spoken.break_of("missing_at_bank", "payout")
    now = spoken.at("2026-02-24T08:00+09:00")
    with spoken.services() as services:
        with pytest.raises(Refused, match="its money coming back"):
            breaks.declare_absent(services, number, reason="asked", by="kim", now=now)
        breaks.write_off(services, number, reason="the bank has lost it", by="kim", now=now)
        assert breaks.approve(services, number, by="lee", now=now)["state"] == "written_off"
    spoken.hear("2026-02-24T09:00+09:00")
    assert (in_transit(spoken), spoken.balances()["difference"]) == (0, 43790)
    spoken.statement("2026-02-24", Entry(43790, e2e=spoken.e2e("A"), reason="MS03"))
    spoken.hear("2026-02-25T05:00+09:00")
    assert "difference" not in spoken.balances()
    assert (in_transit(spoken), spoken.verify()) == (0, [])


def test_a_returned_payout_that_the_bank_netted_away_is_under_way_until_a_later_statement(spoken: Spoken) -> None:
    worked_day(spoken, opening=0)
    spoken.say(returned(spoken.e2e("A"), 43790), kind="pacs.004")
    spoken.statement("2026-02-19", *debits(spoken, "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    with pytest.raises(Refused, match="is missing, and one investor is never paid"):
        spoken.settle("2026-02-19", at="2026-02-20T06:00+09:00", run_id="run-2")
    spoken.statement("2026-02-20")
    spoken.hear("2026-02-21T05:00+09:00")
    said = spoken.settle("2026-02-20", at="2026-02-21T06:00+09:00", run_id="run-3")
    assert said["prepare"]["amounts"] == {"KRW": 43790}
    assert spoken.verify() == []


# -------------------------------------------------------------------------------------------------- more, and less


@in_every_format
def test_a_payout_booked_with_a_fee_on_top_is_booked_and_the_fee_takes_a_persons_word(spoken: Spoken) -> None:
    worked_day(spoken, opening=0)
    a = spoken.e2e("A")
    spoken.statement("2026-02-19", Entry(-44290, e2e=a), *debits(spoken, "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    assert spoken.payouts() == PAID
    assert spoken.breaks() == [("amount_differs", "line", -44290)]
    number = spoken.break_of("amount_differs", "line")
    now = spoken.at("2026-02-20T05:30+09:00")
    with spoken.services() as services:
        with services.ledger.books(read_only=True) as books:
            assert gate._under_way(services, books, gate.newest_statement(services, books)) == {}
        for refused in (breaks.write_off, lambda *args, **named: breaks.book(*args, account="bank_charges", **named)):
            with pytest.raises(Refused, match=f"match it, with `settlement breaks match {number} payout:{a}`"):
                refused(services, number, reason="fee", by="kim", now=now)
        done = breaks.match_by_hand(services, number, subject=f"payout:{a}", reason="its fee", by="kim", now=now)
    assert done["state"] == "resolved"
    assert spoken.balances()["bank_charges"] == 500
    assert (in_transit(spoken), spoken.verify()) == (0, [])
    spoken.hear("2026-02-20T06:00+09:00")
    assert spoken.breaks() == []


@in_every_format
def test_a_fee_within_the_tolerance_goes_to_the_banks_charges_by_itself(spoken: Spoken, tmp_path: Path) -> None:
    use_policy(spoken, tmp_path, tolerance="tolerance = { KRW = 500 }")
    worked_day(spoken)
    spoken.statement("2026-02-19", Entry(-44290, e2e=spoken.e2e("A")), *debits(spoken, "B", "C"))
    spoken.statement("2026-02-20", Entry(26236, e2e=spoken.e2e("B"), reason="MS03"))
    spoken.hear("2026-02-21T05:00+09:00")
    assert [row[3] for row in spoken.payouts()] == ["booked", "returned", "booked"]
    assert spoken.balances()["bank_charges"] == 1000
    assert spoken.balances()["investor_payable:B"] == -26736
    assert (in_transit(spoken), spoken.breaks(), spoken.verify()) == (0, [], [])


@in_every_format
def test_a_debit_below_the_amount_is_no_booking(spoken: Spoken, tmp_path: Path) -> None:
    use_policy(spoken, tmp_path, tolerance="tolerance = { KRW = 500 }")
    worked_day(spoken)
    spoken.statement("2026-02-19", Entry(-43290, e2e=spoken.e2e("A")), *debits(spoken, "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    assert spoken.payouts()[0] == ("A", 43790, 1, "accepted")
    assert spoken.breaks() == [("amount_differs", "line", -43290)]


@in_every_format
def test_a_return_less_the_banks_fee_gives_the_investor_everything(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    a = spoken.e2e("A")
    spoken.say(returned(a, 43290), kind="pacs.004")
    spoken.statement("2026-02-20", Entry(43290, e2e=a, reason="MS03"))
    spoken.hear("2026-02-21T05:00+09:00")
    assert spoken.payouts()[0] == ("A", 43790, 1, "returned")
    assert spoken.balances()["investor_payable:A"] == -43790
    number = spoken.break_of("amount_differs", "line")
    now = spoken.at("2026-02-21T05:30+09:00")
    with spoken.services() as services:
        breaks.match_by_hand(services, number, subject=f"payout:{a}", reason="their fee", by="kim", now=now)
    assert spoken.balances()["bank_charges"] == 500
    assert (in_transit(spoken), spoken.verify()) == (0, [])


def test_one_odd_return_of_a_message_does_not_keep_the_other_back(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    whole, odd = returned(spoken.e2e("A"), 43790), returned(spoken.e2e("B"), 99999).replace("RTR-1", "RTR-2")
    second = odd[odd.index("<TxInf>") : odd.index("</TxInf>") + len("</TxInf>")]
    both = whole.replace("</TxInf>", "</TxInf>" + second).replace("<NbOfTxs>1<", "<NbOfTxs>2<")
    spoken.say(both, kind="pacs.004")
    spoken.hear("2026-02-20T06:00+09:00")
    assert [row[3] for row in spoken.payouts()] == ["returned", "booked", "booked"]
    assert ("message_refused", "message", None) in spoken.breaks()


def test_a_return_of_less_beside_a_whole_one_returns_both(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    whole, less = returned(spoken.e2e("A"), 43790), returned(spoken.e2e("B"), 26236).replace("RTR-1", "RTR-2")
    second = less[less.index("<TxInf>") : less.index("</TxInf>") + len("</TxInf>")]
    spoken.say(whole.replace("</TxInf>", "</TxInf>" + second).replace("<NbOfTxs>1<", "<NbOfTxs>2<"), kind="pacs.004")
    b = Entry(26236, e2e=spoken.e2e("B"), reason="MS03")
    spoken.statement("2026-02-20", Entry(43790, e2e=spoken.e2e("A"), reason="MS03"), b)
    spoken.hear("2026-02-21T05:00+09:00")
    assert [row[3] for row in spoken.payouts()] == ["returned", "returned", "booked"]
    owed = {name: amount for name, amount in spoken.balances().items() if name.startswith("investor_payable")}
    assert owed == {"investor_payable:A": -43790, "investor_payable:B": -26736}
    number = spoken.break_of("amount_differs", "line")
    now = spoken.at("2026-02-21T05:30+09:00")
    with spoken.services() as services:
        breaks.match_by_hand(services, number, subject=f"payout:{b.e2e}", reason="their fee", by="kim", now=now)
    assert spoken.balances()["bank_charges"] == 500
    assert (in_transit(spoken), spoken.verify()) == (0, [])


# -------------------------------------------------------------------------------------------- refused, lost, told late


def handed_over_twice(spoken: Spoken, answer: Callable[[str], Submission]) -> str:
    """Let the first answer to the worked day's file be lost, and the second be this one; return the file's id."""
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8"))
    spoken.closing = 1_000_000
    spoken.statement(ON, RECEIPT)
    now = datetime.fromisoformat(MORNING)
    spoken.settle(ON, at=MORNING, stop_after="approval")

    class Bank:
        checks_duplicates = True
        answers_later = False
        asked = 0

        def describe(self) -> str:
            return "a bank whose first answer is lost"

        def submit(self, file_id: str, content: bytes) -> Submission:
            self.asked += 1
            return answer(file_id) if self.asked > 1 else Submission(outcome=SubmissionOutcome.UNKNOWN, text="lost")

        def fetch(self) -> list[Any]:
            return []

        def acknowledge(self, messages: Any) -> list[Any]:
            return []

    day = DayRun(settlement_date=date(2026, 2, 16), revision=1, run_id="run-1")
    with spoken.services() as services:
        behind = replace(services, bank=Bank())
        submit.submit(behind, day, now=now)
        inquire.inquire(behind, now=now.replace(hour=7))
    return file_of(spoken)


def the_first_is_paid(spoken: Spoken) -> None:
    """Let a statement show what the first handing-over came to."""
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    assert spoken.payouts() == PAID


def test_one_refusal_told_twice_says_nothing_of_another_transmission(spoken: Spoken) -> None:
    refused = Submission(outcome=SubmissionOutcome.REFUSED, text="after cut-off", status_code=422, reason="TM01")
    file_id = handed_over_twice(spoken, lambda _: refused)
    for message_id in ("P-1", "P-2"):
        spoken.say(status_report(message_id, file_id, group="RJCT", reason="TM01"), kind="pain.002")
    named = {spoken.e2e(investor): ("RJCT", "TM01") for investor in "ABC"}
    spoken.say(status_report("P-3", file_id, named), kind="pain.002")
    spoken.hear("2026-02-17T07:30+09:00")
    assert {row[3] for row in spoken.payouts()} == {"unknown"}
    the_first_is_paid(spoken)


@pytest.mark.parametrize("status", [200, 422])
@pytest.mark.parametrize(("group", "reason"), [("RJCT", None), (None, None), ("RJCT", "TM01")])
def test_an_answer_that_rejects_every_payment_by_name_says_nothing_of_another_transmission(
    spoken: Spoken, status: int, group: str | None, reason: str | None
) -> None:
    def answer(file_id: str) -> Submission:
        named = {spoken.e2e(investor): ("RJCT", "TM01") for investor in "ABC"}
        said = status_report("P-1", file_id, named, group=group, reason=reason)
        return judge(file_id, status, said.encode(), address="http://bank:80")

    handed_over_twice(spoken, answer)
    assert spoken.rows("select state, refusal from ledger.bank_messages where kind = 'pain.002'") == [("applied", None)]
    assert {row[3] for row in spoken.payouts()} == {"unknown"}
    the_first_is_paid(spoken)


@where_a_day_may_be_empty
def test_a_payout_that_the_bank_accepted_and_lost_is_given_back_by_two_people(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "B", "C"))
    for on in ("2026-02-20", "2026-02-23", "2026-02-24"):
        spoken.statement(on)
    spoken.hear("2026-02-25T05:00+09:00")
    assert spoken.breaks() == [("missing_at_bank", "payout", -43790)]
    number = spoken.break_of("missing_at_bank", "payout")
    now = spoken.at("2026-02-25T05:10+09:00")
    with spoken.services() as services:
        with pytest.raises(Refused, match="is still at the bank"):
            breaks.write_off(services, number, reason="lost", by="kim", now=now)
        asked = breaks.declare_absent(services, number, reason="the bank lost it", by="kim", now=now)
        assert asked["state"] == "waits for a second person"
        with pytest.raises(Refused, match="a second person has to decide"):
            breaks.approve(services, number, by="kim", now=now)
        breaks.approve(services, number, by="lee", now=now)
    assert spoken.payouts()[0] == ("A", 43790, 1, "rejected")
    assert spoken.balances()["investor_payable:A"] == -43790
    spoken.statement("2026-02-25", *debits(spoken, "A"))
    spoken.hear("2026-02-26T05:00+09:00")
    assert spoken.payouts() == PAID
    assert spoken.breaks() == [("message_refused", "payout", 43790)]
    with spoken.services() as services:
        number = spoken.break_of("message_refused", "payout")
        breaks.answer(services, number, reason="the bank found it", by="kim", now=now)
        breaks.approve(services, number, by="lee", now=now)
    spoken.hear("2026-02-26T06:00+09:00")
    assert (spoken.breaks(), spoken.verify()) == ([], [])


def test_a_rejection_after_the_booking_is_a_break_that_somebody_answers_for(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    ((file_id,),) = spoken.rows("select file_id from ledger.payout_files")
    spoken.say(status_report("P-9", file_id, {spoken.e2e("A"): ("RJCT", "AC04")}), kind="pain.002")
    spoken.hear("2026-02-20T09:00+09:00")
    assert spoken.payouts() == PAID
    assert spoken.breaks() == [("message_refused", "payout", 43790)]


def test_a_rejection_of_the_file_after_the_booking_is_a_break_for_each_of_its_payouts(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    spoken.say(status_report("P-9", file_of(spoken), group="RJCT", reason="TM01"), kind="pain.002")
    spoken.hear("2026-02-20T09:00+09:00")
    assert spoken.payouts() == PAID
    assert spoken.breaks() == [("message_refused", "payout", amount) for amount in (17524, 26736, 43790)]


# -------------------------------------------------------------------------------------------------------- ways out


@pytest.mark.slow
def test_an_assigned_break_still_speaks_against_paying(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"), Entry(-43790, e2e=spoken.e2e("A")))
    spoken.statement("2026-02-20", receipt_of_the_20th(spoken, 50000))
    spoken.hear("2026-02-21T05:00+09:00")
    now = spoken.at("2026-02-21T05:30+09:00")
    with spoken.services() as services:
        breaks.assign(services, spoken.break_of("duplicate_line", "line"), owner="kim", due_on=None, by="kim", now=now)
    with pytest.raises(Refused, match="duplicate_line"):
        spoken.settle("2026-02-20", at="2026-02-21T06:00+09:00", run_id="run-2")


@pytest.mark.slow
def test_a_decision_whose_amount_moved_is_asked_anew(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    spoken.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, reverses_repayment_id)"
        " values ('U1', 'L1', '2026-02-19 11:00+09', 95000, 'R1')"
    )
    spoken.settle("2026-02-19", at="2026-02-20T06:00+09:00", run_id="run-2")
    ((number, amount),) = spoken.rows(
        "select break_id, amount from ledger.breaks where cause = 'investor_overdrawn' and subject_id = 'A'"
    )
    assert amount == 43790
    now = spoken.at("2026-02-20T08:00+09:00")
    with spoken.services() as services:
        breaks.write_off(services, number, reason="uncollectable", by="kim", now=now)
    spoken.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount)"
        " values ('R3', 'L1', '2026-02-20 11:00+09', 20000)"
    )
    spoken.settle("2026-02-20", at="2026-02-21T06:00+09:00", run_id="run-3", transfer=False)
    spoken.hear("2026-02-21T07:00+09:00")
    now = spoken.at("2026-02-21T08:00+09:00")
    with spoken.services() as services:
        with pytest.raises(Refused, match="ask again"):
            breaks.approve(services, number, by="lee", now=now)
        breaks.write_off(services, number, reason="the rest is uncollectable", by="kim", now=now)
        assert breaks.approve(services, number, by="lee", now=now)["state"] == "written_off"
    assert "investor_payable:A" not in spoken.balances()
    assert spoken.verify() == []


@in_every_format
def test_an_overdrawn_investor_is_made_good_by_a_line_that_brings_what_is_missing(spoken: Spoken) -> None:
    worked_day(spoken)
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    spoken.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, reverses_repayment_id)"
        " values ('U1', 'L1', '2026-02-19 11:00+09', 95000, 'R1')"
    )
    spoken.statement("2026-02-20", Entry(43790, text="funding of investor A by the platform"))
    spoken.settle("2026-02-19", at="2026-02-21T06:00+09:00", run_id="run-2")
    spoken.hear("2026-02-21T07:00+09:00")
    number = spoken.break_of("unknown_at_bank", "line")
    now = spoken.at("2026-02-21T08:00+09:00")
    with spoken.services() as services:
        with pytest.raises(Refused, match=r"brings \[43790\], \[investor_payable:B\] lacks \[26736\]"):
            breaks.book(services, number, account="investor_payable:B", reason="funded", by="kim", now=now)
        breaks.book(services, number, account="investor_payable:A", reason="funded", by="kim", now=now)
        breaks.approve(services, number, by="lee", now=now)
    assert "investor_payable:A" not in spoken.balances()
    assert spoken.verify() == []


@where_a_day_may_be_empty
def test_a_receipt_that_was_written_off_and_comes_after_all_is_written_off_no_longer(
    spoken: Spoken, tmp_path: Path
) -> None:
    use_policy(spoken, tmp_path, needs='needs = "ledger"', write_off_limit="write_off_limit = { KRW = 1000000 }")
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8"))
    spoken.closing = 1_000_000
    spoken.statement(ON)
    spoken.settle(ON, at=MORNING)
    spoken.accept()
    spoken.hear("2026-02-17T07:00+09:00")
    now = spoken.at("2026-02-17T08:00+09:00")
    with spoken.services() as services:
        number = spoken.break_of("missing_at_bank", "repayment")
        breaks.write_off(services, number, reason="never came", by="kim", now=now)
    spoken.hear("2026-02-17T09:00+09:00")
    assert spoken.balances()["difference"] == 95000
    spoken.statement("2026-02-19", RECEIPT, *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")
    balances = spoken.balances()
    assert "difference" not in balances and "receipts_in_transit" not in balances
    assert (spoken.breaks(), spoken.verify()) == ([], [])


# ----------------------------------------------------------------------------------------------- undone at the source


def undone_before_it_was_taken(spoken: Spoken) -> None:
    """Let the lender undo the worked day's receipt in its own window, although its money came."""
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8"))
    spoken.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, reverses_repayment_id)"
        " values ('U1', 'L1', '2026-02-16 23:00+09', 95000, 'R1')"
    )
    spoken.closing = 1_000_000
    spoken.statement(ON, RECEIPT)
    spoken.settle(ON, at=MORNING)
    spoken.hear("2026-02-17T07:00+09:00")


@in_every_format
def test_money_of_a_receipt_that_was_undone_before_it_was_taken_is_missing_until_it_goes_back(spoken: Spoken) -> None:
    undone_before_it_was_taken(spoken)
    assert spoken.balances()["receipts_in_transit"] == -95000
    assert spoken.breaks() == [("missing_at_bank", "repayment", -95000)]
    spoken.statement("2026-02-19", Entry(-95000))
    spoken.hear("2026-02-20T05:00+09:00")
    assert "receipts_in_transit" not in spoken.balances()
    assert (spoken.breaks(), spoken.verify()) == ([], [])


def test_money_of_a_receipt_that_was_undone_before_it_was_taken_can_be_written_off(spoken: Spoken) -> None:
    undone_before_it_was_taken(spoken)
    number = spoken.break_of("missing_at_bank", "repayment")
    now = spoken.at("2026-02-17T08:00+09:00")
    with spoken.services() as services:
        breaks.write_off(services, number, reason="the payer does not want it back", by="kim", now=now)
        breaks.approve(services, number, by="lee", now=now)
    spoken.hear("2026-02-17T09:00+09:00")
    assert (spoken.balances()["difference"], spoken.breaks(), spoken.verify()) == (-95000, [], [])
