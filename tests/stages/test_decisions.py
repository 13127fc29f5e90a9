"""What the stages decide, as stories on ports in memory: no server, and the whole file within two seconds.

The day owes A 43 790, B 26 736 and C 17 524 won, 88 050 together. What only PostgreSQL, Airflow or a bank can show is
told by the stories beside this one, on real servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import pandas as pd
import pytest
from settlement.domain import frames
from settlement.domain.alerts.day import Step
from settlement.domain.bank import statement as statements
from settlement.domain.bank.messages import (
    FileAnswer,
    MessageState,
    Reading,
    Return,
    Submission,
    SubmissionOutcome,
)
from settlement.domain.bank.statement import LineState, Movement, Notification, Statement
from settlement.domain.books.accounts import BANK_CHARGES, CLIENT_BANK
from settlement.domain.books.postings import Entry, JournalEntry
from settlement.domain.breaks import BreakState, Finding
from settlement.domain.days import DayState
from settlement.domain.errors import Broken, Displaced, NotYet, Refused, Unavailable
from settlement.domain.payments.files import FileState
from settlement.domain.payments.state import PayoutState
from settlement.domain.policy import Approval, Gate, Payouts, Policy
from settlement.ports.days import DayRun, DayTotals, RunRequest, TaskFailure
from settlement.stages import apply, approve, breaks, gate, inquire, match, notify, prepare, refunds, submit, take_in

from tests.fakes import MORNING, ON, POLICY, Kept, MemoryBank, World, a_day, give

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NEXT = date(2026, 2, 13)
NEXT_BUSINESS_DAY = datetime.fromisoformat("2026-02-19T10:00+09:00")
"""When a bank that works on a file on Friday the 13th has had its day: a weekend and three holidays later."""
ALL = 88_050


def under(**changes: Any) -> Policy:
    """Return the policy with other tables."""
    return POLICY.model_copy(update=changes)


def above(limit: int, *, approvers: Sequence[str] = ("checker",)) -> Policy:
    """Return a policy under which more won than this a day need a second person."""
    return under(approval=Approval(limit={"KRW": limit}, approvers=tuple(approvers)))


@cache
def once_prepared() -> Kept:
    """Return the books of a day whose payouts are prepared: made once, because it takes longer than all the rest."""
    world = a_day()
    prepare.prepare(world.services, world.day, now=MORNING)
    return world.ledger.kept


@cache
def once_approved() -> Kept:
    """Return the books of a day whose payouts are prepared and within the limit, made once as well."""
    world = prepared_day()
    approve.ask(world.services, world.day, now=MORNING)
    return world.ledger.kept


def prepared_day(policy: Policy = POLICY, *, triggered_by: str | None = None) -> World:
    """Return a day whose payouts are prepared."""
    world = a_day(policy=policy, triggered_by=triggered_by)
    world.ledger.kept = replace(once_prepared().copy(), runs=world.ledger.kept.runs)
    return world


def approved_day(policy: Policy = POLICY) -> World:
    """Return a day whose payouts are prepared and within the limit."""
    world = a_day(policy=policy)
    world.ledger.kept = once_approved().copy()
    return world


def sent_day(outcome: SubmissionOutcome) -> World:
    """Return a day whose one file was handed over with this outcome, an error on the way swallowed."""
    world = approved_day()
    world.bank.answers.append(answer(outcome))
    try:
        submit.submit(world.services, world.day, now=MORNING)
    except Unavailable:
        assert outcome is SubmissionOutcome.NOT_SENT
    return world


def answer(outcome: SubmissionOutcome, **said: Any) -> Submission:
    return Submission(outcome=outcome, text=f"the bank: {outcome}", **said)


NO_TOTALS = DayTotals(
    currency="KRW",
    repayment_count=0,
    received_amount=0,
    distributed_amount=0,
    fee_amount=0,
    vat_amount=0,
    national_tax_amount=0,
    local_tax_amount=0,
    cost_amount=0,
    credit_amount=0,
    quarantined_amount=0,
)


def said(world: World) -> dict[str, Any]:
    """Return the fields of the one event that people are told."""
    (event,) = (value["fields"] for row in world.ledger.kept.alerts.values() for value in row.payload.values())
    return dict(event)


def clock_at(clock: str) -> datetime:
    """Return an instant of the morning after the settlement date, in Seoul."""
    return datetime.fromisoformat(f"2026-02-13T{clock}+09:00")


def in_state(state: str) -> list[tuple[str, int, str]]:
    return [("A", 43_790, state), ("B", 26_736, state), ("C", 17_524, state)]


def file_of(world: World) -> str:
    (file_id,) = world.ledger.kept.files
    return file_id


def end_to_end(world: World, investor: str) -> str:
    """Return the id that an investor's first payout has at the bank."""
    return str(world.ledger.kept.payouts[f"20260212.1.{investor}.KRW.1.1"]["end_to_end_id"])


# ----------------------------------------------------------------------------------------------------------- approve


def test_what_is_within_the_limit_is_approved_and_nobody_is_asked() -> None:
    world = prepared_day(above(ALL))
    assert approve.ask(world.services, world.day, now=MORNING) == {"needed": False, "payouts": 3}
    assert world.states() == in_state("approved")
    assert world.told() == []


def test_a_won_above_the_limit_asks_a_second_person_and_moves_nothing() -> None:
    world = prepared_day(above(ALL - 1))
    question = approve.ask(world.services, world.day, now=MORNING)
    assert (question["needed"], question["count"], question["amounts"]) == (True, 3, {"KRW": 88_050})
    assert question["subject"] == "pay 3 payouts?"
    assert question["body"] == f"{question['approval_id']}, open for 12:00:00"
    assert question["expires_at"] == "2026-02-13T18:00:00+09:00"
    assert world.states() == in_state("prepared")
    assert world.ledger.kept.days[ON].state is DayState.AWAITING_APPROVAL
    assert world.told() == ["approval.needed"]


def test_a_second_person_is_told_what_is_distributed_what_is_usual_and_the_largest_payouts() -> None:
    world = prepared_day(above(ALL - 1))
    kept = world.ledger.kept
    kept.totals[ON] = (replace(NO_TOTALS, distributed_amount=88_051),)
    of_day = kept.payouts["20260212.1.A.KRW.1.1"]
    for weeks, amount in enumerate((44_025, 10_000, 50_000, 90_000), start=1):
        earlier = {"settlement_date": ON - timedelta(weeks=weeks), "amount": amount, "state": PayoutState.BOOKED}
        kept.payouts[f"earlier-{weeks}"] = of_day | earlier
    approve.ask(world.services, world.day, now=MORNING)
    told = said(world)
    assert told["distributed"] == [{"amount": 88_051, "currency": "KRW"}]
    assert told["usual"] == [{"amount": {"amount": 44_025, "currency": "KRW"}, "weeks": 4, "percent": 200}]
    assert [(row["payee_id"], row["amount"]["amount"]) for row in told["largest"]] == [
        ("A", 43_790),
        ("B", 26_736),
        ("C", 17_524),
    ]


def test_three_weeks_do_not_say_what_is_usual() -> None:
    world = prepared_day(above(ALL - 1))
    of_day = world.ledger.kept.payouts["20260212.1.A.KRW.1.1"]
    for weeks in (1, 2, 3):
        earlier = {"settlement_date": ON - timedelta(weeks=weeks), "state": PayoutState.BOOKED}
        world.ledger.kept.payouts[f"earlier-{weeks}"] = of_day | earlier
    approve.ask(world.services, world.day, now=MORNING)
    assert said(world)["usual"] == []


def test_the_same_question_asked_again_is_told_once() -> None:
    world = prepared_day(above(0))
    first = approve.ask(world.services, world.day, now=MORNING)
    again = approve.ask(world.services, world.day, now=MORNING)
    assert again["approval_id"] == first["approval_id"]
    assert world.told() == ["approval.needed"]


def test_whoever_triggered_the_run_is_not_among_those_asked() -> None:
    world = prepared_day(above(0, approvers=["maker", "checker"]), triggered_by="maker")
    question = approve.ask(world.services, world.day, triggered_by="maker", now=MORNING)
    assert question["approvers"] == ["checker"]


def test_where_the_only_approver_triggered_the_run_it_is_refused_once_the_question_is_on_record() -> None:
    world = prepared_day(above(0, approvers=["maker"]), triggered_by="maker")
    with pytest.raises(Refused, match=r"add another to approval\.approvers"):
        approve.ask(world.services, world.day, triggered_by="maker", now=MORNING)
    assert len(world.ledger.kept.questions) == 1
    assert world.told() == ["approval.needed"]


def test_a_second_person_approves_and_whoever_triggered_the_run_cannot() -> None:
    world = prepared_day(above(0), triggered_by="maker")
    approve.ask(world.services, world.day, triggered_by="maker", now=MORNING)
    with pytest.raises(Refused, match=r"\[maker\] triggered this run and cannot approve them"):
        approve.decide(world.services, world.day, approved=True, by="maker", now=MORNING)
    assert world.states() == in_state("prepared")
    decided = approve.decide(world.services, world.day, approved=True, by="checker", now=MORNING + HOUR)
    assert decided == {"approved": True, "payouts": 3, "by": "checker"}
    assert world.states() == in_state("approved")
    assert world.ledger.kept.days[ON].state is DayState.PAYING


def test_whoever_triggered_the_run_may_reject_and_the_money_goes_back() -> None:
    world = prepared_day(above(0), triggered_by="maker")
    approve.ask(world.services, world.day, triggered_by="maker", now=MORNING)
    assert world.owed() == {}
    approve.decide(world.services, world.day, approved=False, by="maker", reason="too early", now=MORNING)
    assert world.states() == in_state("rejected")
    assert world.owed() == {"A": 43_790, "B": 26_736, "C": 17_524}


def test_an_approval_is_bound_to_the_payouts_that_were_asked_for() -> None:
    world = prepared_day(above(0))
    approve.ask(world.services, world.day, now=MORNING)
    payout_id = "20260212.1.A.KRW.1.1"
    world.ledger.kept.payouts[payout_id] = world.ledger.kept.payouts[payout_id] | {"amount": 43_791}
    with pytest.raises(Refused, match="changed after they were put to a second person"):
        approve.decide(world.services, world.day, approved=True, by="checker", now=MORNING)
    assert {state for _, _, state in world.states()} == {"prepared"}


def test_an_approval_after_the_question_expired_is_a_rejection() -> None:
    world = prepared_day(above(0))
    approve.ask(world.services, world.day, now=MORNING)
    late = approve.decide(world.services, world.day, approved=True, by="checker", now=MORNING + 13 * HOUR)
    assert late["approved"] is False
    assert world.states() == in_state("rejected")
    assert [step.cause for step in world.ledger.kept.steps] == ["approval_expired"] * 3


def test_a_decision_that_finds_nothing_waiting_changes_nothing() -> None:
    world = approved_day()
    assert approve.decide(world.services, world.day, approved=False, by="checker", now=MORNING) == {
        "approved": False, "payouts": 0
    }  # fmt: skip
    assert world.states() == in_state("approved")


def test_what_the_day_has_paid_already_counts_towards_its_limit() -> None:
    world = a_day(owed={"A": 600}, policy=above(1000))
    prepare.prepare(world.services, world.day, now=MORNING)
    approve.ask(world.services, world.day, now=MORNING)
    submit.submit(world.services, world.day, now=MORNING)
    world.owe({"B": 500})
    prepare.prepare(world.services, world.day, now=MORNING)
    question = approve.ask(world.services, world.day, now=MORNING)
    assert (question["needed"], question["count"], question["amounts"]) == (True, 1, {"KRW": 500})


# ------------------------------------------------------------------------------------------------------------ submit


def test_approved_payouts_leave_in_one_file_that_was_kept_before_the_bank_was_called() -> None:
    world = approved_day()

    class Watching(MemoryBank):
        def submit(self, file_id: str, content: bytes) -> Submission:
            assert world.ledger.kept.contents == {file_id: content}
            assert world.states() == in_state("submitted")
            assert [sent.outcome for sent in world.ledger.kept.transmissions.values()] == [None]
            return super().submit(file_id, content)

    services = replace(world.services, bank=Watching())
    assert submit.submit(services, world.day, now=MORNING) == {"files": 1, "received": 1}
    assert world.states() == in_state("submitted")
    assert world.ledger.kept.files[file_of(world)].state is FileState.RECEIVED


def test_an_investor_who_was_frozen_after_the_approval_is_not_paid_and_everybody_else_is() -> None:
    world = approved_day()
    world.core.payee_rows["B"] |= {"status": "frozen", "account": "110-20-300099"}
    world.core.payee_rows["C"] |= {"account": "110-20-300099"}
    assert submit.submit(world.services, world.day, now=MORNING) == {"files": 1, "received": 1}
    assert world.states() == [("A", 43_790, "submitted"), ("B", 26_736, "rejected"), ("C", 17_524, "submitted")]
    assert {key: held["reason"] for key, held in world.ledger.kept.holds.items()} == {
        ("investor", "B", "KRW"): "frozen"
    }
    assert [step.cause for step in world.ledger.kept.steps if step.to_state == "rejected"] == ["frozen"]
    assert {row["payee_account"] for row in world.ledger.kept.payouts.values()} == {"acc-A", "acc-B", "acc-C"}


def test_a_day_on_which_everybody_was_frozen_writes_no_file() -> None:
    world = approved_day()
    for payee in world.core.payee_rows.values():
        payee |= {"status": "frozen"}
    assert submit.submit(world.services, world.day, now=MORNING) == {"files": 0}
    assert world.states() == in_state("rejected")


def test_a_file_holds_as_many_payments_as_the_policy_allows() -> None:
    world = approved_day(under(payouts={"KRW": Payouts(max_per_file=2)}))
    assert submit.submit(world.services, world.day, now=MORNING) == {"files": 2, "received": 2}
    assert sorted(file.payment_count for file in world.ledger.kept.files.values()) == [1, 2]


def test_a_run_that_pays_nothing_writes_no_file() -> None:
    world = approved_day()
    only_booking = replace(world.day, transfer=False)
    assert submit.submit(world.services, only_booking, now=MORNING) == {"skipped": "no transfer"}
    assert world.bank.sent == []


def test_a_run_that_was_displaced_hands_nothing_over() -> None:
    world = approved_day()
    with world.ledger.books() as books:
        books.days.open(RunRequest(settlement_date=ON, run_id="run-2"), settlement_date=ON, now=MORNING)
    with pytest.raises(Displaced):
        submit.submit(world.services, world.day, now=MORNING)
    assert (world.bank.sent, world.states()) == ([], in_state("approved"))


def test_a_file_that_never_left_is_sent_again_as_the_same_bytes_under_the_same_id() -> None:
    world = approved_day()
    world.bank.answers.append(answer(SubmissionOutcome.NOT_SENT))
    with pytest.raises(Unavailable, match="the bank: not_sent"):
        submit.submit(world.services, world.day, now=MORNING)
    assert world.ledger.kept.files[file_of(world)].state is FileState.PREPARED
    submit.submit(world.services, world.day, now=MORNING + HOUR)
    first, second = world.bank.sent
    assert first == second
    assert world.ledger.kept.files[file_of(world)].state is FileState.RECEIVED


def test_a_file_that_cannot_leave_does_not_keep_the_others_back() -> None:
    world = approved_day(under(payouts={"KRW": Payouts(max_per_file=1)}))
    world.bank.answers.append(answer(SubmissionOutcome.NOT_SENT))
    with pytest.raises(Unavailable):
        submit.submit(world.services, world.day, now=MORNING)
    assert sorted(file.state.value for file in world.ledger.kept.files.values()) == [
        "prepared", "received", "received"
    ]  # fmt: skip


def test_a_file_that_the_bank_refused_gives_its_money_back_and_its_payouts_are_tried_under_new_ids() -> None:
    world = approved_day()
    world.bank.answers.append(answer(SubmissionOutcome.REFUSED, reason="AM04"))
    assert submit.submit(world.services, world.day, now=MORNING) == {"files": 1, "refused": 1}
    assert world.states() == in_state("rejected")
    assert world.owed() == {"A": 43_790, "B": 26_736, "C": 17_524}
    prepare.prepare(world.services, world.day, now=MORNING)
    approve.ask(world.services, world.day, now=MORNING)
    submit.submit(world.services, world.day, now=MORNING)
    assert sorted(world.ledger.kept.payouts)[:2] == ["20260212.1.A.KRW.1.1", "20260212.1.A.KRW.1.2"]
    (first, _), (second, _) = world.bank.sent
    assert first != second


def test_what_the_answer_says_of_a_payment_is_applied_at_once() -> None:
    world = approved_day()
    rejected = statuses((end_to_end(world, "B"), "RJCT", "AC04"))
    message = world.bank.says(FileAnswer(message_id="M1", file_id=None, group_status=None, payments=rejected))
    world.bank.answers.append(answer(SubmissionOutcome.RECEIVED, messages=(message,)))
    submit.submit(world.services, world.day, now=MORNING)
    assert [state for _, _, state in world.states()] == ["submitted", "rejected", "submitted"]
    assert world.owed() == {"B": 26_736}


# ----------------------------------------------------------------------------------------------------------- inquire


def test_a_file_without_an_answer_is_unknown_and_asked_for_under_its_own_id() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    assert world.states() == in_state("unknown")
    assert inquire.inquire(world.services, now=MORNING + HOUR) == {"received": 1}
    first, second = world.bank.sent
    assert first == second
    # That the bank takes it now proves where the file is, and nothing of a single payment.
    assert world.ledger.kept.files[file_of(world)].state is FileState.RECEIVED


def test_a_bank_that_has_the_file_already_is_not_asked_again() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    world.bank.answers.append(answer(SubmissionOutcome.DUPLICATE))
    assert inquire.inquire(world.services, now=MORNING + HOUR) == {"duplicate": 1}
    assert inquire.inquire(world.services, now=NEXT_BUSINESS_DAY) == {}
    assert world.states() == in_state("unknown")


def test_a_refusal_of_the_second_transmission_proves_nothing_of_the_first() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    world.bank.answers.append(answer(SubmissionOutcome.REFUSED, reason="AM04"))
    inquire.inquire(world.services, now=MORNING + HOUR)
    assert world.states() == in_state("unknown")
    assert world.owed() == {}


def test_whoever_handed_a_file_over_may_still_be_listening_for_five_minutes() -> None:
    world = approved_day()

    class Deadly(MemoryBank):
        def submit(self, file_id: str, content: bytes) -> Submission:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        submit.submit(replace(world.services, bank=Deadly()), world.day, now=MORNING)
    assert world.states() == in_state("submitted")
    assert inquire.inquire(world.services, now=MORNING + timedelta(minutes=4, seconds=59)) == {}
    assert inquire.inquire(world.services, now=MORNING + timedelta(minutes=5)) == {"received": 1}


def test_a_bank_that_took_a_file_and_says_nothing_is_asked_on_its_next_business_day() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    assert inquire.inquire(world.services, now=NEXT_BUSINESS_DAY - MINUTE) == {}
    assert inquire.inquire(world.services, now=NEXT_BUSINESS_DAY) == {"duplicate": 1}


def test_a_file_that_may_have_arrived_goes_out_again_only_where_the_bank_checks_for_duplicates() -> None:
    for outcome in (SubmissionOutcome.UNKNOWN, SubmissionOutcome.RECEIVED, SubmissionOutcome.REFUSED):
        world = sent_day(outcome)
        world.bank.checks_duplicates = False
        assert inquire.inquire(world.services, now=NEXT_BUSINESS_DAY) == {}
        assert submit.submit(world.services, world.day, now=NEXT_BUSINESS_DAY).keys() == {"files"}
        assert len(world.bank.sent) == 1
    world = sent_day(SubmissionOutcome.NOT_SENT)
    world.bank.checks_duplicates = False
    assert inquire.inquire(world.services, now=MORNING + HOUR) == {"received": 1}


def test_a_bank_whose_word_comes_later_is_silent_only_after_its_business_day() -> None:
    world = approved_day()
    world.bank.answers_later, world.bank.checks_duplicates = True, False
    submit.submit(world.services, world.day, now=MORNING)
    inquire.hear_answers(world.services, world.day, now=MORNING)
    inquire.inquire(world.services, now=NEXT_BUSINESS_DAY - MINUTE)
    assert (world.states(), world.told()) == (in_state("submitted"), ["day.progress"])
    inquire.inquire(world.services, now=NEXT_BUSINESS_DAY)
    inquire.inquire(world.services, now=NEXT_BUSINESS_DAY + HOUR)
    assert (world.states(), world.told()) == (in_state("unknown"), ["day.progress", "payouts.unknown"])
    (told,) = [told for told in world.ledger.kept.alerts.values() if told.alert.event == "payouts.unknown"]
    said = told.payload["payouts.unknown"]["fields"]
    assert (said["inquiry_at"], said["ask_about"]) == (None, [file_of(world)])


def test_of_two_inquiries_at_once_one_asks_for_a_file() -> None:
    world = approved_day(under(payouts={"KRW": Payouts(max_per_file=2)}))
    world.bank.answers += [answer(SubmissionOutcome.UNKNOWN), answer(SubmissionOutcome.UNKNOWN)]
    submit.submit(world.services, world.day, now=MORNING)

    class Slow(MemoryBank):
        """A bank that answers the first question only after somebody else has asked for everything as well."""

        def submit(self, file_id: str, content: bytes) -> Submission:
            self.sent.append((file_id, content))
            if len(self.sent) == 1:
                beside.append(inquire.inquire(services, now=MORNING + HOUR))
            return answer(SubmissionOutcome.DUPLICATE)

    beside: list[dict[str, Any]] = []
    services = replace(world.services, bank=(bank := Slow()))
    assert inquire.inquire(services, now=MORNING + HOUR) == {"duplicate": 1}
    assert beside == [{"duplicate": 1}]
    assert len({file_id for file_id, _ in bank.sent}) == len(bank.sent) == 2


def test_a_file_of_which_the_bank_has_proven_one_payment_is_not_handed_over_again() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    heard(world, (a_notification(movement(-43_790, end_to_end_id=end_to_end(world, "A"))),))
    assert inquire.inquire(world.services, now=MORNING + 2 * HOUR) == {}
    assert len(world.bank.sent) == 1


def test_nobody_asks_for_a_file_of_which_everything_is_proven() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    world.bank.says(FileAnswer(message_id="M1", file_id=file_of(world), group_status="ACSC", payments=statuses()))
    take_in.take_in(world.services, now=MORNING + HOUR)
    assert world.states() == in_state("accepted")
    assert inquire.inquire(world.services, now=NEXT_BUSINESS_DAY) == {}


def test_without_a_bank_nobody_is_asked() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    assert inquire.inquire(replace(world.services, bank=None), now=MORNING + HOUR) == {}


def test_the_files_that_are_unknown_are_listed_with_the_money_at_risk() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    (found,) = inquire.unknown_files(world.services)
    assert (found.payouts, found.currency, found.amount, found.transmissions) == (3, "KRW", 88_050, 1)
    assert found.sent_at == MORNING


def test_when_answers_are_heard_silence_is_unknown_and_told_once() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    said = inquire.hear_answers(world.services, world.day, now=MORNING)
    assert said == {"payouts": {"unknown": {"KRW": 88_050}}}
    inquire.hear_answers(world.services, world.day, now=MORNING + HOUR)
    assert world.told() == ["day.progress", "payouts.unknown"]


def test_a_person_may_declare_an_unknown_file_absent_after_a_day_and_with_a_reason() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    file_id = file_of(world)
    with pytest.raises(Refused, match="gives a name and a reason"):
        inquire.declare_absent(world.services, file_id, by="maker", reason=" ", now=NEXT_BUSINESS_DAY)
    with pytest.raises(Refused, match="may still arrive: wait"):
        inquire.declare_absent(world.services, file_id, by="maker", reason="asked", now=NEXT_BUSINESS_DAY - MINUTE)
    assert world.states() == in_state("unknown")
    said = inquire.declare_absent(world.services, file_id, by="maker", reason="asked", now=NEXT_BUSINESS_DAY)
    assert (said["payouts"], said["amounts"]) == (3, {"KRW": 88_050})
    assert world.states() == in_state("rejected")
    assert world.ledger.kept.files[file_id].state is FileState.REJECTED
    with pytest.raises(Refused, match="nothing is unknown"):
        inquire.declare_absent(world.services, file_id, by="maker", reason="asked", now=MORNING + 21 * HOUR)


# ------------------------------------------------------------------------------------------------- prepare and its gate


def test_all_that_is_owed_is_prepared_and_what_cannot_be_paid_is_held_with_its_reason() -> None:
    world = a_day()
    world.core.payee_rows["B"] |= {"status": "frozen"}
    world.core.payee_rows["C"] |= {"account": None}
    said = prepare.prepare(world.services, world.day, now=MORNING)
    assert said == {"payouts": 1, "amounts": {"KRW": 43_790}, "held": 2, "held_amounts": {"KRW": 44_260}}
    assert world.states() == [("A", 43_790, "prepared")]
    assert {key: held["reason"] for key, held in world.ledger.kept.holds.items()} == {
        ("investor", "B", "KRW"): "frozen", ("investor", "C", "KRW"): "no_account"
    }  # fmt: skip


def test_a_refund_counts_towards_the_approval_and_can_be_undone_only_while_it_is_unpaid() -> None:
    world = a_day(owed={"A": 43_790}, policy=above(48_789), triggered_by="maker")
    world.ledger.kept.days[ON] = replace(world.ledger.kept.days[ON], revision=1)
    world.order("F1", 5_000)
    said = prepare.prepare(world.services, world.day, now=MORNING)
    assert said == {"payouts": 2, "amounts": {"KRW": 48_790}, "held": 0, "held_amounts": {}}
    assert world.states() == [("A", 43_790, "prepared"), ("F1", 5_000, "prepared")]
    asked = approve.ask(world.services, world.day, now=MORNING)
    assert (asked["needed"], asked["amounts"]) == (True, {"KRW": 48_790})
    with pytest.raises(Refused, match=r"Nothing of refund \[F1\] is unpaid"):
        refunds.undo(world.services, "F1", reason="wrong account", by="kim", now=MORNING)
    approve.decide(world.services, world.day, approved=False, by="checker", reason="too early", now=MORNING)
    assert world.states() == [("A", 43_790, "rejected"), ("F1", 5_000, "rejected")]
    undone = refunds.undo(world.services, "F1", reason="wrong account", by="kim", now=MORNING)
    assert undone == {"refund_id": "F1", "loan_id": "L1", "currency": "KRW", "undone_amount": 5_000}
    assert world.ledger.kept.undone == [("F1", "R1", 5_000, ON, "kim", "wrong account")]
    assert prepare.prepare(world.services, world.day, now=MORNING)["amounts"] == {"KRW": 43_790}


def test_prepared_twice_is_prepared_once() -> None:
    world = prepared_day()
    said = prepare.prepare(world.services, world.day, now=MORNING + HOUR)
    assert (said["payouts"], said["amounts"]) == (3, {"KRW": 88_050})
    assert world.states() == in_state("prepared")


def test_what_a_failed_day_prepared_and_never_sent_is_released_and_paid_by_the_next() -> None:
    world = approved_day()
    with world.ledger.books() as books:
        books.days.set_state(ON, DayState.FAILED, now=MORNING, failure="transfer: it broke")
        request = RunRequest(settlement_date=NEXT, run_id="run-2")
        next_day = books.days.open(request, settlement_date=NEXT, now=MORNING)
    said = prepare.prepare(world.services, next_day, now=MORNING + 24 * HOUR)
    assert (said["released"], said["amounts"]) == ({"KRW": 88_050}, {"KRW": 88_050})
    assert [state for _, _, state in world.states()] == ["rejected"] * 3 + ["prepared"] * 3


def test_nobody_is_paid_from_money_that_is_not_proven_and_nobody_can_answer_for_it() -> None:
    world = a_day(triggered_by="maker", reason="override: pay it all the same")
    with world.ledger.books(posting=True) as books:
        missing = Entry("bank_charge", ((CLIENT_BANK.name, -1), (BANK_CHARGES.name, 1)))
        books.journal.post(JournalEntry(entry=missing, currency="KRW"), settlement_date=ON, now=MORNING)
    with pytest.raises(Refused, match=r"\[1\] is missing.*no one can answer for that"):
        prepare.prepare(world.services, world.day, now=MORNING)
    assert world.states() == []
    (raised,) = gate.objections(world.services, ON)
    assert (raised.control, raised.overridden_by) == ("money_is_proven", None)
    with pytest.raises(Refused, match="Nothing that somebody could answer for"):
        gate.override(world.services, ON, by="checker", reason="seen", now=MORNING)


def test_a_person_answers_for_an_objection_word_for_word() -> None:
    world = a_day(policy=under(gate=Gate(needs="ledger", limit={"KRW": ALL - 1})))
    with pytest.raises(Refused, match=r"exceed the policy's gate\.limit of \[88049\]"):
        prepare.prepare(world.services, world.day, now=MORNING)
    with pytest.raises(Refused, match="gives a name and a reason"):
        gate.override(world.services, ON, by="", reason="seen", now=MORNING)
    (answered,) = gate.override(world.services, ON, by=" checker ", reason="seen", now=MORNING)
    assert (answered.overridden_by, answered.reason) == ("checker", "seen")
    world.owe({"D": 1})
    with pytest.raises(Refused, match=r"Payouts of \[88051 KRW\]"):
        prepare.prepare(world.services, world.day, now=MORNING)
    gate.override(world.services, ON, by="checker", reason="seen", now=MORNING)
    assert prepare.prepare(world.services, world.day, now=MORNING)["payouts"] == 4


def test_a_run_that_was_triggered_to_override_answers_in_the_name_of_whoever_triggered_it() -> None:
    policy = under(gate=Gate(needs="ledger", limit={"KRW": 0}))
    world = a_day(policy=policy, triggered_by="maker", reason="override: year end")
    assert prepare.prepare(world.services, world.day, now=MORNING)["payouts"] == 3
    (answered,) = gate.objections(world.services, ON)
    assert (answered.overridden_by, answered.reason) == ("maker", "year end")


def test_the_statement_is_waited_for_until_the_policys_hour_and_late_an_hour_before() -> None:
    world = a_day(policy=under(gate=Gate(needs="statement", wait_until="10:00")))
    for clock, expected in (("08:59", []), ("09:00", ["input.late"]), ("09:59", ["input.late"])):
        with pytest.raises(NotYet, match="none has come so far"):
            gate.wait_for_statement(world.services, world.day, now=clock_at(clock))
        assert world.told() == expected
    with pytest.raises(Refused, match="ask the bank for it"):
        gate.wait_for_statement(world.services, world.day, now=clock_at("10:00"))
    gate.override(world.services, ON, by="checker", reason="the bank is down", now=clock_at("10:05"))
    gate.wait_for_statement(world.services, world.day, now=clock_at("10:06"))


def test_a_statement_that_has_come_opens_the_gate_and_ends_what_was_told_of_its_absence() -> None:
    world = a_day(policy=under(gate=Gate(needs="statement")))
    with pytest.raises(NotYet):
        gate.wait_for_statement(world.services, world.day, now=clock_at("09:30"))
    world.bank.says((a_statement(),))
    said = gate.wait_for_statement(world.services, world.day, now=clock_at("09:40"))
    assert said == {"new": 1, "applied": 1, "statement": "S1"}
    assert world.told() == ["input.late", "resolved"]


# ----------------------------------------------------------------------------------------------- what the bank says


def heard(world: World, reading: Reading, *, at: datetime = MORNING + HOUR) -> dict[str, Any]:
    """Let the bank say something, and take it in."""
    world.bank.says(reading)
    return take_in.take_in(world.services, now=at)


def statuses(*said: tuple[str, str, str | None]) -> pd.DataFrame:
    """Return what a status report says of payments, as (end-to-end id, status, reason)."""
    return frames.build(frames.PAYMENT_STATUSES, [(*one, "") for one in said])


def report(world: World, message_id: str = "M1", **payments: tuple[str, str | None]) -> FileAnswer:
    """Return a status report that names payments, by investor as (status, reason)."""
    return FileAnswer(
        message_id=message_id,
        file_id=file_of(world),
        group_status=None,
        payments=statuses(
            *((end_to_end(world, investor), status, reason) for investor, (status, reason) in payments.items())
        ),
    )


def a_statement(*movements: Movement, name: str = "S1", account: str = "acc-ours", opening: int = ALL) -> Statement:
    return statements.prove(
        statement_id=name,
        sequence=None,
        account=account,
        currency="KRW",
        business_date=ON,
        from_date=None,
        to_date=None,
        opening=opening,
        closing=opening + sum(movement.amount for movement in movements),
        movements=movements,
    )


def a_notification(*movements: Movement) -> Notification:
    lines = statements.lines_of(movements, statement_id="N1", account="acc-ours", currency="KRW")
    return Notification(notification_id="N1", account="acc-ours", currency="KRW", lines=lines)


def movement(amount: int, *, end_to_end_id: str | None = None) -> Movement:
    return Movement(booking_date=NEXT, value_date=None, amount=amount, end_to_end_id=end_to_end_id)


def of_money(world: World) -> tuple[Any, ...]:
    """Return all that is kept of money: payouts, their steps, files, entries, what people were told."""
    kept = world.ledger.kept
    return kept.payouts, kept.steps, kept.files, kept.entries, world.told()


def test_each_payment_that_a_report_names_takes_its_own_way() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    said = report(world, A=("ACSC", None), B=("RJCT", "AC04"), C=("PDNG", None))
    assert heard(world, said) == {"new": 1, "applied": 1}
    assert [state for _, _, state in world.states()] == ["accepted", "rejected", "submitted"]
    assert world.owed() == {"B": 26_736}


def test_a_message_that_comes_again_is_known_and_not_applied_again() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    message = world.bank.says(report(world, B=("RJCT", "AC04")))
    take_in.take_in(world.services, now=MORNING + HOUR)
    before = of_money(world)
    world.bank.gives_again(message)
    assert take_in.take_in(world.services, now=MORNING + 2 * HOUR) == {"known": 1}
    assert of_money(world) == before


def test_a_report_that_says_nothing_new_changes_nothing() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    heard(world, report(world, A=("ACSC", None), B=("RJCT", "AC04")))
    before = of_money(world)
    assert heard(world, report(world, "M2", A=("ACSC", None), B=("RJCT", "AC04"))) == {"new": 1, "applied": 1}
    assert heard(world, report(world, "M3", A=("RCVD", None), C=("PDNG", None))) == {"new": 1, "applied": 1}
    assert of_money(world) == before


def test_a_report_on_payments_of_somebody_else_changes_nothing() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    before = of_money(world)
    theirs = statuses(("NOT-OURS", "RJCT", "AC04"))
    heard(world, FileAnswer(message_id="M1", file_id="SF-OTHER", group_status=None, payments=theirs))
    heard(
        world, FileAnswer(message_id="M2", file_id="SF-OTHER", group_status="RJCT", reason="AM04", payments=statuses())
    )
    assert of_money(world) == before


@pytest.mark.parametrize(("reason", "held"), [("AC04", ["account_refused"]), ("AM04", [])])
def test_an_account_that_the_bank_refused_for_good_is_held_and_a_passing_reason_is_tried_again(
    reason: str, held: list[str]
) -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    heard(world, report(world, B=("RJCT", reason)))
    prepare.prepare(world.services, world.day, now=MORNING + 2 * HOUR)
    assert [hold["reason"] for hold in world.ledger.kept.holds.values()] == held
    attempts = [row["attempt"] for row in world.ledger.kept.payouts.values() if row["payee_id"] == "B"]
    assert attempts == ([1] if held else [1, 2])


def test_that_a_payment_is_a_duplicate_is_no_verdict_on_it() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    heard(world, report(world, A=("RJCT", "AM05")))
    assert (world.states(), world.owed()) == (in_state("submitted"), {})


def test_a_file_that_was_rejected_whole_gives_its_money_back_and_holds_nobodys_account() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    heard(
        world,
        FileAnswer(message_id="M1", file_id=file_of(world), group_status="RJCT", reason="AC04", payments=statuses()),
    )
    assert world.states() == in_state("rejected")
    assert world.owed() == {"A": 43_790, "B": 26_736, "C": 17_524}
    assert world.ledger.kept.refused_accounts == {}


def test_a_rejection_gives_no_money_back_while_another_transmission_may_have_arrived() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    world.bank.answers.append(answer(SubmissionOutcome.UNKNOWN))
    inquire.inquire(world.services, now=MORNING + HOUR)
    rejection = FileAnswer(
        message_id="M1", file_id=file_of(world), group_status="RJCT", reason="AM04", payments=statuses()
    )
    heard(world, rejection)
    heard(world, replace(rejection, message_id="M2"))  # a report says not which transmission it answers
    heard(world, report(world, "M3", A=("RJCT", "AM04"), B=("RJCT", "AM04"), C=("RJCT", "AM04")))
    assert (world.states(), world.owed()) == (in_state("unknown"), {})
    heard(world, replace(rejection, message_id="M4", reason="DUPL"))
    assert world.states() == in_state("rejected")


def test_a_return_gives_the_money_back_once() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    back = Return(
        return_id="R1", end_to_end_id=end_to_end(world, "B"), amount=26_736, currency="KRW", reason="AC04"
    )  # fmt: skip
    heard(world, (back,))
    assert ("B", 26_736, "returned") in world.states()
    before = of_money(world)
    heard(world, (replace(back, return_id="R2"),))
    assert of_money(world) == before
    assert world.owed() == {"B": 26_736}


def test_a_rejection_of_a_payment_that_has_come_back_changes_nothing() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    back = Return(
        return_id="R1", end_to_end_id=end_to_end(world, "B"), amount=26_736, currency="KRW", reason="MS03"
    )  # fmt: skip
    heard(world, (back,))
    before = of_money(world)
    assert heard(world, report(world, B=("RJCT", "AC04"))) == {"new": 1, "applied": 1}
    assert of_money(world) == before


def test_a_return_of_more_than_was_paid_cannot_be_used_and_is_kept_with_the_reason() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    before = of_money(world)
    back = Return(
        return_id="R1", end_to_end_id=end_to_end(world, "B"), amount=26_737, currency="KRW", reason="AC04"
    )  # fmt: skip
    assert heard(world, (back,)) == {"new": 1, "refused": 1}
    assert of_money(world) == before
    (refused,) = [kept for kept in world.ledger.kept.messages.values() if kept.state is MessageState.REFUSED]
    assert refused.refusal is not None and "says [26737 KRW], the payout was [26736 KRW]" in refused.refusal


def test_a_return_less_a_fee_gives_the_payee_everything() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    back = Return(
        return_id="R1", end_to_end_id=end_to_end(world, "B"), amount=26_000, currency="KRW", reason="MS03"
    )  # fmt: skip
    assert heard(world, (back,)) == {"new": 1, "applied": 1}
    assert ("B", 26_736, "returned") in world.states()
    assert world.owed() == {"B": 26_736}
    assert [(fact.kind.value, fact.amount) for fact in world.ledger.kept.facts.values()] == [
        ("return_announced", 26_000)
    ]


def test_a_return_of_what_was_never_handed_over_cannot_be_used() -> None:
    world = approved_day()
    back = Return(return_id="R1", end_to_end_id=end_to_end(world, "B"), amount=26_736, currency="KRW", reason="MS03")
    assert heard(world, (back,)) == {"new": 1, "refused": 1}
    assert (world.states(), world.owed()) == (in_state("approved"), {})


def test_a_message_that_nobody_can_read_keeps_no_other_back() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    world.bank.says(None)
    assert heard(world, report(world, A=("ACSC", None))) == {"new": 2, "applied": 1, "refused": 1}
    assert ("A", 43_790, "accepted") in world.states()


def test_a_debit_that_the_bank_notifies_proves_that_it_has_the_payment() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    said = a_notification(
        movement(-43_790, end_to_end_id=end_to_end(world, "A")),
        movement(-1, end_to_end_id=end_to_end(world, "B")),
        movement(17_524, end_to_end_id=end_to_end(world, "C")),
    )
    heard(world, (said,))
    assert [state for _, _, state in world.states()] == ["accepted", "unknown", "unknown"]


def test_a_statement_that_shows_the_payouts_books_them_after_the_reports_of_the_same_hour() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    paid = [movement(-amount, end_to_end_id=end_to_end(world, name)) for name, amount, _ in in_state("")]
    world.bank.says((a_statement(*paid),))
    world.bank.says(report(world, A=("ACSC", None)))
    said = inquire.hear_answers(world.services, world.day, now=MORNING + HOUR)
    assert said == {"payouts": {"booked": {"KRW": 88_050}}}
    assert [step.to_state.value for step in world.ledger.kept.steps[-4:]] == ["accepted", "booked", "booked", "booked"]
    assert {row["booked_on"] for row in world.ledger.kept.payouts.values()} == {NEXT}


def shown(world: World, *movements: Movement, name: str, opening: int = ALL) -> None:
    """Let a statement show these movements, and match what is open."""
    heard(world, (a_statement(*movements, name=name, opening=opening),))
    match.match(world.services, now=MORNING + HOUR)


def leaving(world: World, *investors: str) -> list[Movement]:
    """Return the movements that show the first payouts of these investors leaving."""
    amounts = {investor: amount for investor, amount, _ in in_state("")}
    return [movement(-amounts[investor], end_to_end_id=end_to_end(world, investor)) for investor in investors]


def test_a_rejected_payout_that_a_statement_shows_is_booked_and_its_money_taken_again() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    heard(world, report(world, B=("RJCT", "AM04")))
    assert world.owed() == {"B": 26_736}
    shown(world, *leaving(world, "A", "B", "C"), name="S1")
    assert (world.states(), world.owed()) == (in_state("booked"), {})
    assert balance(world, "payouts_in_transit") == 0


def test_a_rejected_payout_that_was_paid_again_and_is_shown_overdraws_its_payee() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    heard(world, report(world, B=("RJCT", "AM04")))
    prepare.prepare(world.services, world.day, now=MORNING + HOUR)
    shown(world, *leaving(world, "A", "B", "C"), name="S1")
    assert [row for row in world.states() if row[0] == "B"] == [("B", 26_736, "booked"), ("B", 26_736, "prepared")]
    assert world.owed() == {"B": -26_736}


def test_a_rejection_of_what_a_statement_shows_changes_no_state_and_contradicts_it() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    shown(world, *leaving(world, "A", "B", "C"), name="S1")
    before = of_money(world)
    heard(world, report(world, B=("RJCT", "AC04")))
    assert of_money(world) == before
    assert world.ledger.kept.refused_accounts == {}
    with world.ledger.books(read_only=True) as books:
        assert books.payouts.contradicted()["payee_id"].tolist() == ["B"]


def test_a_credit_of_all_that_was_debited_is_a_return_and_another_debit_takes_its_money_again() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    again, returned = leaving(world, "A"), movement(43_790, end_to_end_id=end_to_end(world, "A"))
    shown(world, *leaving(world, "A", "B", "C"), name="S1")
    shown(world, replace(returned, reason="AC04"), name="S2", opening=0)
    assert (world.states()[0], world.owed()) == (("A", 43_790, "returned"), {"A": 43_790})
    assert list(world.ledger.kept.refused_accounts) == [("investor", "A", "acc-A", "")]
    shown(world, *again, name="S3", opening=43_790)
    assert (world.states(), world.owed()) == (in_state("booked"), {})
    assert (balance(world, "payouts_in_transit"), balance(world, "suspense")) == (0, 0)


def test_a_payout_that_came_back_before_it_is_shown_leaving_stays_returned_and_its_credit_is_owed() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    back = Return(return_id="R1", end_to_end_id=end_to_end(world, "B"), amount=26_736, currency="KRW", reason="MS03")
    heard(world, (back,))
    shown(world, *leaving(world, "A", "B", "C"), name="S1")
    assert ("B", 26_736, "returned") in world.states()
    assert {row["booked_on"] for row in world.ledger.kept.payouts.values()} == {NEXT}
    with world.ledger.books(read_only=True) as books:
        (owed,) = books.payouts.uncredited()
    assert (owed.amount, owed.booked_on, owed.announced_at) == (26_736, NEXT, MORNING + HOUR)


def test_a_line_that_names_what_was_never_handed_over_moves_nothing() -> None:
    world = approved_day()
    heard(world, (a_statement(*leaving(world, "B")),))
    with world.ledger.books(posting=True) as books:
        payout_ids = books.payouts.find()["payout_id"].tolist()
        apply.follow(world.services, books, payout_ids, cause="statement", now=MORNING)
        assert books.payouts.evidence(payout_ids)["debits"].tolist() == [0, 1, 0]
    assert (world.states(), world.owed()) == (in_state("approved"), {})


def test_what_becomes_known_after_a_certificate_is_booked_on_the_business_day_after_it() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    heard(world, report(world, B=("RJCT", "AM04")))
    with world.ledger.books(posting=True) as books:
        books.close.keep_certificate(1, on=ON, revision=1, body="{}", now=MORNING)
    heard(world, report(world, "M2", C=("RJCT", "AM04")))
    given_back = [(one.made.payout_id, one.settlement_date) for one in world.ledger.kept.entries[-2:]]
    assert given_back == [("20260212.1.B.KRW.1.1", ON), ("20260212.1.C.KRW.1.1", NEXT)]


def test_a_statement_is_kept_once_whatever_it_is_called_and_one_that_contradicts_it_is_refused() -> None:
    world = a_day()
    heard(world, (a_statement(movement(5)),))
    assert heard(world, (a_statement(movement(5), name="S1-again"),)) == {"new": 1, "applied": 1}
    assert heard(world, (a_statement(movement(6)),)) == {"new": 1, "refused": 1}
    assert list(world.ledger.kept.statements) == ["S1"]
    (refused,) = [kept for kept in world.ledger.kept.messages.values() if kept.state is MessageState.REFUSED]
    assert refused.statement_id == "S1"


def test_a_statement_of_an_account_that_is_not_ours_is_put_aside() -> None:
    world = a_day()
    assert heard(world, (a_statement(account="acc-other"),)) == {"new": 1, "foreign": 1}
    assert world.ledger.kept.statements == {}


def test_without_a_bank_nothing_is_taken_in_and_nothing_paid() -> None:
    world = a_day()
    without = replace(world.services, bank=None)
    assert take_in.take_in(without, now=MORNING) == {"bank": "not configured"}
    with pytest.raises(Refused, match=r"Connection \[settlement_bank\] is not configured"):
        prepare.prepare(without, world.day, now=MORNING)


# ------------------------------------------------------------------------------------------------------------- notify


def failure(task_id: str = "transfer.submit", **changes: Any) -> TaskFailure:
    said: dict[str, Any] = {"settlement_date": ON, "run_id": "run-1", "try_number": 2, "error": "Unavailable: no bank"}
    return TaskFailure(task_id=task_id, **(said | changes))


def test_unknown_payouts_are_told_until_the_last_of_them_is_answered_for() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    inquire.hear_answers(world.services, world.day, now=MORNING)
    heard(world, report(world, A=("ACSC", None), B=("ACSC", None)))
    assert "resolved" not in world.told()
    heard(world, report(world, "M2", C=("RJCT", "AM04")), at=MORNING + 2 * HOUR)
    assert world.told() == ["day.progress", "payouts.unknown", "resolved"]


def test_rejected_payouts_are_told_by_the_banks_reason() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    world.bank.says(report(world, A=("RJCT", "AC04"), B=("RJCT", "AM04"), C=("RJCT", "AC04")))
    inquire.hear_answers(world.services, world.day, now=MORNING)
    keys = [alert.dedupe_key for alert in world.services.alerts.listing() if alert.event == "payouts.rejected"]
    assert sorted(keys) == ["2026-02-12:rejected:AC04", "2026-02-12:rejected:AM04"]


def test_the_steps_of_a_day_that_is_settled_are_no_news() -> None:
    world = a_day()
    with world.ledger.books() as books:
        notify.step_done(books, world.day, Step.EXTRACT, row_count=1, now=MORNING)
        books.days.set_state(ON, DayState.SETTLED, now=MORNING)
    before = world.ledger.kept.alerts
    with world.ledger.books() as books:
        notify.step_done(books, world.day, Step.COMPUTE, row_count=1, now=MORNING)
        notify.day_started(world.services, books, world.day, expected={"KRW": 1}, count=1, now=MORNING)
    assert world.ledger.kept.alerts == before
    assert world.told() == ["day.progress"]


def test_no_unknown_payouts_are_no_news() -> None:
    world = a_day()
    inquire.hear_answers(world.services, world.day, now=MORNING)
    assert world.told() == ["day.progress"]


def test_a_failed_task_fails_its_day_and_is_told_once_with_how_far_the_money_has_come() -> None:
    world = sent_day(SubmissionOutcome.UNKNOWN)
    assert notify.task_failed(world.services, failure(), now=MORNING) is True
    assert notify.task_failed(world.services, failure(), now=MORNING) is False
    found = world.ledger.kept.days[ON]
    assert (found.state, found.failure) == (DayState.FAILED, "transfer.submit: Unavailable: no bank")
    (told,) = [told for told in world.ledger.kept.alerts.values() if told.alert.event == "task.failed"]
    fields = told.payload["task.failed"]["fields"]
    assert fields["money"] == {"state": "unknown", "count": 3, "amounts": [{"amount": 88_050, "currency": "KRW"}]}
    assert fields["code"] == "Unavailable"
    assert told.alert.severity == "critical"


@pytest.mark.parametrize("changes", [{"run_id": "run-displaced"}, {"settlement_date": NEXT}])
def test_a_failure_of_a_run_that_does_not_hold_the_day_leaves_the_day_as_it_is(changes: dict[str, Any]) -> None:
    world = prepared_day()
    before = world.ledger.kept.days
    assert notify.task_failed(world.services, failure(**changes), now=MORNING) is True
    assert world.ledger.kept.days == before


def test_a_settled_day_stays_settled_when_a_task_fails_afterwards() -> None:
    world = a_day()
    with world.ledger.books() as books:
        books.days.set_state(ON, DayState.SETTLED, now=MORNING)
    notify.task_failed(world.services, failure("report.report"), now=MORNING)
    assert world.ledger.kept.days[ON].state is DayState.SETTLED


def test_a_run_that_failed_without_a_failed_task_says_less_than_the_task_that_did() -> None:
    world = a_day()
    assert notify.task_failed(world.services, failure(), now=MORNING) is True
    of_run = failure("", try_number=0, error="timed_out")
    assert notify.run_failed(world.services, of_run, now=MORNING) is False
    run = world.ledger.kept.runs["run-1"]
    assert (run.outcome, run.ended_at) == ("failed: timed_out", MORNING)
    assert world.ledger.kept.days[ON].failure == "transfer.submit: Unavailable: no bank"


def test_a_backfill_is_over_when_no_run_of_it_is_left_in_airflow_or_the_books_know_their_ends() -> None:
    world = a_day()
    runs: list[DayRun] = []
    for on, run_id in ((ON, "backfill__12"), (NEXT, "backfill__13")):
        with world.ledger.books() as books:
            request = RunRequest(settlement_date=on, run_id=run_id, run_type="backfill")
            runs.append(books.days.open(request, settlement_date=on, now=MORNING))
    assert notify.end_backfill(world.services, "1", left=["backfill__13"], now=MORNING) is False
    with world.ledger.books() as books:
        for run in runs:
            books.days.end_run(run, outcome="settled", now=MORNING)
    assert notify.end_backfill(world.services, "1", left=["backfill__13"], now=MORNING) is True
    assert world.told() == ["backfill.summary"]


def test_a_broken_control_is_noted_told_and_returned_as_a_refusal() -> None:
    world = a_day()
    refused = notify.control_broken(world.services, ON, Broken("entries_balance", "1 won too much"), now=MORNING)
    assert str(refused).startswith("Control [entries_balance] is broken: 1 won too much")
    assert world.ledger.kept.controls == {(ON, "entries_balance"): False}
    assert world.told() == ["control.broken"]


def test_the_breaks_of_a_date_are_told_with_the_largest_first_and_a_set_that_stays_is_told_once() -> None:
    world = a_day()
    with world.ledger.books() as books:
        notify.breaks_opened(books, ON, backfill_id=None, now=MORNING)
    assert world.told() == []
    found = [line_finding(f"L{amount}", amount) for amount in (5, -700, 40)]
    opened(world, *found)
    for _ in range(2):
        with world.ledger.books() as books:
            notify.breaks_opened(books, ON, backfill_id=None, now=MORNING)
    (told,) = [told for told in world.ledger.kept.alerts.values() if told.alert.event == "breaks.opened"]
    fields = told.payload["breaks.opened"]["fields"]
    assert (fields["count"], fields["unmatched"]) == (3, [{"amount": 745, "currency": "KRW"}])
    assert [shown["amount"]["amount"] for shown in fields["breaks"]] == [-700, 40, 5]


# ------------------------------------------------------------------------------------------------------------- breaks


def line_finding(line_id: str, amount: int) -> Finding:
    return Finding(cause="unknown_at_bank", subject_kind="line", subject_id=line_id, currency="KRW", amount=amount)


def opened(world: World, *found: Finding) -> None:
    """Let these be the open breaks of their causes."""
    with world.ledger.books(posting=True) as books:
        causes = sorted({one.cause for one in found})
        books.breaks.sync(found, causes=causes, on=ON, calendar=world.services.calendar, now=MORNING)


def break_of_a_line(amount: int) -> World:
    """Return a day whose statement has a line of this amount that nobody knows: it stands in suspense, break 1."""
    world = a_day()
    heard(world, (a_statement(movement(amount)),))
    with world.ledger.books(posting=True) as books:
        line = books.bank_lines.lines((LineState.OPEN,))
        books.bank_lines.suspend(line, now=MORNING)
    opened(world, line_finding(line["line_id"].item(), amount))
    return world


def balance(world: World, account: str) -> int:
    with world.ledger.books(read_only=True) as books:
        return books.journal.balance(account, "KRW")


def test_one_person_writes_off_what_is_within_the_limit() -> None:
    world = break_of_a_line(-1000)
    said = breaks.write_off(world.services, 1, reason="too small", by="maker", now=MORNING)
    assert (said["state"], said["resolution"]) == ("written_off", "written off to difference: too small")
    assert (balance(world, "suspense"), balance(world, "difference")) == (0, 1000)
    assert world.ledger.kept.breaks[1].state is BreakState.WRITTEN_OFF
    with pytest.raises(Refused, match=r"Break \[1\] is not open"):
        breaks.write_off(world.services, 1, reason="again", by="maker", now=MORNING)


def test_a_won_above_the_limit_waits_for_a_second_person_who_is_another() -> None:
    world = break_of_a_line(-1001)
    said = breaks.write_off(world.services, 1, reason="too small", by="maker", now=MORNING)
    assert said == {"break_id": 1, "state": "waits for a second person", "limit": 1000}
    assert (balance(world, "suspense"), balance(world, "difference")) == (1001, 0)
    with pytest.raises(Refused, match="waits for a second person already"):
        breaks.book(world.services, 1, account="bank_charges", reason="a fee", by="other", now=MORNING)
    with pytest.raises(Refused, match=r"\[maker\] asked for this: a second person has to decide"):
        breaks.approve(world.services, 1, by="maker", now=MORNING)
    decided = breaks.approve(world.services, 1, by="checker", now=MORNING)
    assert (decided["state"], decided["by"]) == ("written_off", "maker and checker")
    assert (balance(world, "suspense"), balance(world, "difference")) == (0, 1001)


def test_what_was_asked_for_is_for_exactly_that_amount() -> None:
    world = break_of_a_line(-1001)
    breaks.write_off(world.services, 1, reason="too small", by="maker", now=MORNING)
    opened(world, line_finding(world.ledger.kept.breaks[1].subject_id, -1002))
    with pytest.raises(Refused, match=r"is \[-1002\] by now, asked was for \[-1001\]: ask again"):
        breaks.approve(world.services, 1, by="checker", now=MORNING)
    breaks.write_off(world.services, 1, reason="still too small", by="other", now=MORNING)
    assert [event.what for _, event in world.ledger.kept.break_events] == [
        "opened",
        "write_off to difference asked for: too small",
        "asked anew: it was [-1001] and is [-1002]",
        "write_off to difference asked for: still too small",
    ]
    decided = breaks.approve(world.services, 1, by="checker", now=MORNING)
    assert (decided["state"], decided["by"]) == ("written_off", "other and checker")


def test_nothing_that_waits_is_nothing_to_approve() -> None:
    world = break_of_a_line(-5)
    with pytest.raises(Refused, match="Nothing about break"):
        breaks.approve(world.services, 1, by="checker", now=MORNING)


def test_a_line_is_booked_only_to_an_account_that_takes_lines() -> None:
    world = break_of_a_line(-500)
    with pytest.raises(Refused, match="is not an account that a line can be booked to"):
        breaks.book(world.services, 1, account="investor_payable:A", reason="his", by="maker", now=MORNING)
    said = breaks.book(world.services, 1, account="bank_charges", reason="a fee", by="maker", now=MORNING)
    assert (said["state"], said["resolution"]) == ("resolved", "booked to bank_charges: a fee")
    assert (balance(world, "suspense"), balance(world, "bank_charges")) == (0, 500)


def break_of_a_payouts_line(amount: int, **said: Any) -> World:
    """Return a day that is unknown at the bank, whose statement has a line of this amount in suspense: break 1."""
    world = sent_day(SubmissionOutcome.UNKNOWN)
    heard(world, (a_statement(movement(amount, **said)),))
    with world.ledger.books(posting=True) as books:
        line = books.bank_lines.lines((LineState.OPEN,))
        books.bank_lines.suspend(line, now=MORNING)
    opened(world, line_finding(line["line_id"].item(), amount))
    return world


def test_a_line_is_matched_by_hand_with_a_payout_that_it_may_show_and_books_it() -> None:
    world = break_of_a_payouts_line(-26_736)
    said: dict[str, Any] = {"reason": "the bank told us", "by": "maker", "now": MORNING}
    for subject in (f"payout:{end_to_end(world, 'A')}", "payout:NOT-OURS"):
        with pytest.raises(Refused, match=r"cannot be what this line of \[-26736 KRW\] shows"):
            breaks.match_by_hand(world.services, 1, subject=subject, **said)
    breaks.match_by_hand(world.services, 1, subject=f"payout:{end_to_end(world, 'B')}", **said)
    assert [state for _, _, state in world.states()] == ["unknown", "booked", "unknown"]
    assert world.ledger.kept.breaks[1].resolution is not None


@pytest.mark.parametrize(("fee", "state"), [(1000, "resolved"), (1001, "waits for a second person")])
def test_what_a_bank_kept_of_a_payout_goes_to_its_charges_and_counts_towards_the_limit(fee: int, state: str) -> None:
    world = break_of_a_payouts_line(-26_736 - fee)
    subject = f"payout:{end_to_end(world, 'B')}"
    said = breaks.match_by_hand(world.services, 1, subject=subject, reason="its fee", by="maker", now=MORNING)
    assert said["state"] == state
    if state != "resolved":
        assert balance(world, "bank_charges") == 0
        breaks.approve(world.services, 1, by="checker", now=MORNING)
    assert (balance(world, "bank_charges"), balance(world, "suspense")) == (fee, 0)
    assert [state for _, _, state in world.states()] == ["unknown", "booked", "unknown"]


def test_a_line_that_shows_a_payout_is_matched_and_neither_booked_nor_written_off() -> None:
    world = break_of_a_payouts_line(-26_800, end_to_end_id=end_to_end(prepared_day(), "B"))
    with pytest.raises(Refused, match=rf"match it, with `settlement breaks match 1 payout:{end_to_end(world, 'B')}`"):
        breaks.write_off(world.services, 1, reason="too small", by="maker", now=MORNING)
    with pytest.raises(Refused, match="what differs goes to"):
        breaks.book(world.services, 1, account="bank_charges", reason="a fee", by="maker", now=MORNING)
    assert world.ledger.kept.decisions == []


def test_a_second_debit_of_a_payout_may_be_booked_elsewhere_and_is_explained_then() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    shown(world, *leaving(world, "A", "B", "C"), name="S1")
    heard(world, (a_statement(*leaving(world, "B"), name="S2", opening=0),))
    with world.ledger.books(posting=True) as books:
        line = books.bank_lines.lines((LineState.OPEN,))
        books.bank_lines.suspend(line, now=MORNING)
    opened(world, replace(line_finding(line["line_id"].item(), -26_736), cause="duplicate_line"))
    breaks.book(world.services, 1, account="bank_charges", reason="never corrected", by="maker", now=MORNING)
    breaks.approve(world.services, 1, by="checker", now=MORNING)
    assert (world.states(), balance(world, "bank_charges")) == (in_state("booked"), 26_736)
    (fact,) = world.ledger.kept.facts.values()
    assert (fact.kind.value, fact.source, fact.amount) == ("debit_explained", line["line_id"].item(), -26_736)


def test_a_line_is_matched_by_hand_with_a_receipt_only_once() -> None:
    world = break_of_a_line(95_000)
    world.core.receive("R1", 95_000, reference="REF-R1", at=MORNING - 24 * HOUR)
    breaks.match_by_hand(world.services, 1, subject="receipt:R1", reason="she called", by="maker", now=MORNING)
    assert (balance(world, "suspense"), balance(world, "receipts_in_transit")) == (0, -95_000)
    with world.ledger.books(posting=True) as books:
        second = a_statement(movement(95_000), name="S2", opening=ALL + 95_000)
        books.bank_lines.keep_statement(second, "bytes of S2", now=MORNING)
        line = books.bank_lines.lines((LineState.OPEN,))
        books.bank_lines.suspend(line, now=MORNING)
    opened(world, line_finding(line["line_id"].item(), 95_000))
    with pytest.raises(Refused, match=r"\[receipt:R1\] is not there, has its line already"):
        breaks.match_by_hand(world.services, 2, subject="receipt:R1", reason="again", by="maker", now=MORNING)


def test_an_overdrawn_investor_is_written_off_unless_his_balance_has_moved() -> None:
    world = a_day(owed={"A": -12})
    opened(
        world, Finding(cause="investor_overdrawn", subject_kind="investor", subject_id="A", currency="KRW", amount=12)
    )
    with world.ledger.books(posting=True) as books:
        give(books, {"A": 2}, now=MORNING)
    with pytest.raises(Refused, match=r"was found with \[12 KRW\], \[10\] stands"):
        breaks.write_off(world.services, 1, reason="too small", by="maker", now=MORNING)
    with world.ledger.books(posting=True) as books:
        give(books, {"A": -2}, now=MORNING)
    breaks.write_off(world.services, 1, reason="too small", by="maker", now=MORNING)
    assert (world.owed(), balance(world, "difference")) == ({}, 12)


def test_a_break_ends_only_in_a_way_that_its_cause_has_and_what_it_is_about_allows() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    chain, missing = Finding(cause="statement_chain", subject_kind="statement", subject_id="S1"), missing_payout("B")
    opened(world, chain, missing)
    by_cause = {found.cause: found.break_id for found in world.ledger.kept.breaks.values()}
    said: dict[str, Any] = {"reason": "x", "by": "maker", "now": MORNING}
    with pytest.raises(Refused, match=r"\[write_off\] does not end it, but \[answer\] does"):
        breaks.write_off(world.services, by_cause["statement_chain"], **said)
    with pytest.raises(Refused, match=r"\[answer\] does not end it, but \[absent\] or \[write_off\] does"):
        breaks.answer(world.services, by_cause["missing_at_bank"], **said)
    with pytest.raises(Refused, match="is still at the bank: say that it is not paid"):
        breaks.write_off(world.services, by_cause["missing_at_bank"], **said)
    assert (world.ledger.kept.decisions, world.ledger.kept.waiting) == ([], {})


def missing_payout(investor: str, amount: int = -26_736) -> Finding:
    payout_id = f"20260212.1.{investor}.KRW.1.1"
    return Finding(
        cause="missing_at_bank", subject_kind="payout", subject_id=payout_id, currency="KRW", amount=amount
    )  # fmt: skip


def test_two_people_say_that_a_payout_is_not_paid_and_a_statement_may_show_it_all_the_same() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    opened(world, missing_payout("B"))
    asked = breaks.declare_absent(world.services, 1, reason="the bank lost it", by="maker", now=MORNING)
    assert (asked["state"], world.states()) == ("waits for a second person", in_state("submitted"))
    said = breaks.approve(world.services, 1, by="checker", now=MORNING)
    assert said["resolution"] == "declared not to be paid, and rejected: the bank lost it"
    assert [state for _, _, state in world.states()] == ["submitted", "rejected", "submitted"]
    assert world.owed() == {"B": 26_736}
    shown(world, *leaving(world, "A", "B", "C"), name="S1")
    assert (world.states(), world.owed()) == (in_state("booked"), {})


def test_money_that_never_came_back_is_written_off_until_it_does() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    back = Return(return_id="R1", end_to_end_id=end_to_end(world, "B"), amount=26_736, currency="KRW", reason="MS03")
    shown(world, *leaving(world, "A", "B", "C"), name="S1")
    heard(world, (back,))
    opened(world, missing_payout("B", 26_736))
    with pytest.raises(Refused, match="what is missing is its money coming back"):
        breaks.declare_absent(world.services, 1, reason="lost", by="maker", now=MORNING)
    breaks.write_off(world.services, 1, reason="lost", by="maker", now=MORNING)
    breaks.approve(world.services, 1, by="checker", now=MORNING)
    assert (balance(world, "difference"), balance(world, "payouts_in_transit")) == (26_736, 0)
    shown(world, movement(26_736, end_to_end_id=end_to_end(world, "B")), name="S2", opening=0)
    assert (balance(world, "difference"), balance(world, "payouts_in_transit")) == (0, 0)
    assert world.owed() == {"B": 26_736}


def test_what_somebody_answered_for_is_over_as_long_as_its_amount_stands() -> None:
    world = a_day()
    paid_twice = Finding(
        cause="message_refused", subject_kind="payout", subject_id="P1", currency="KRW", amount=1000
    )  # fmt: skip
    opened(world, paid_twice)
    said = breaks.answer(world.services, 1, reason="the bank found it", by="maker", now=MORNING)
    assert (said["state"], said["resolution"]) == ("resolved", "answered for: the bank found it")
    opened(world, paid_twice)
    assert [found.state for found in world.ledger.kept.breaks.values()] == [BreakState.RESOLVED]
    opened(world, replace(paid_twice, amount=1001))
    assert world.ledger.kept.breaks[2].state is BreakState.OPEN
    asked = breaks.answer(world.services, 2, reason="again", by="maker", now=MORNING)
    assert asked["state"] == "waits for a second person"


def test_an_overdrawn_investor_is_made_good_by_a_line_that_brings_at_most_what_is_missing() -> None:
    world = break_of_a_line(500)
    said: dict[str, Any] = {"account": "investor_payable:A", "reason": "funded", "by": "maker", "now": MORNING}
    with world.ledger.books(posting=True) as books:
        give(books, {"A": -43_790 - 499}, now=MORNING)
    with pytest.raises(Refused, match=r"brings \[500\], \[investor_payable:A\] lacks \[499\]"):
        breaks.book(world.services, 1, **said)
    with world.ledger.books(posting=True) as books:
        give(books, {"A": -101}, now=MORNING)
    breaks.book(world.services, 1, **said)
    assert (world.owed()["A"], balance(world, "suspense")) == (-100, 0)


def test_a_break_that_somebody_takes_on_stays_open_and_keeps_what_is_said_of_it() -> None:
    world = break_of_a_line(-5)
    breaks.assign(world.services, 1, owner="ann", due_on=NEXT, by="maker", now=MORNING)
    breaks.comment(world.services, 1, text="asked the bank", by="ann", now=MORNING)
    found = world.ledger.kept.breaks[1]
    assert (found.state, found.owner, found.due_on, found.comment) == (
        BreakState.ASSIGNED, "ann", NEXT, "asked the bank"
    )  # fmt: skip
    with pytest.raises(Refused, match=r"Break \[2\] is not open"):
        breaks.comment(world.services, 2, text="which", by="ann", now=MORNING)
