"""What the stages decide, as stories on ports in memory: no server, and the whole file within two seconds.

The day owes A 43 790, B 26 736 and C 17 524 won, 88 050 together. What only PostgreSQL, Airflow or a bank can show is
told by the stories beside this one, on real servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from settlement.domain.bank.messages import (
    FileAnswer,
    PaymentStatus,
    Submission,
    SubmissionOutcome,
)
from settlement.domain.days import DayState
from settlement.domain.errors import Displaced, Refused, Unavailable
from settlement.domain.payments.files import FileState
from settlement.domain.policy import Approval, Payouts, Policy
from settlement.ports.days import RunRequest
from settlement.stages import approve, inquire, prepare, submit, take_in

from tests.fakes import MORNING, ON, POLICY, MemoryBank, World, a_day

HOUR = timedelta(hours=1)
ALL = 88_050


def under(**changes: Any) -> Policy:
    """Return the policy with other tables."""
    return POLICY.model_copy(update=changes)


def above(limit: int, *, approvers: Sequence[str] = ("checker",)) -> Policy:
    """Return a policy under which more won than this a day need a second person."""
    return under(approval=Approval(limit={"KRW": limit}, approvers=tuple(approvers)))


def prepared_day(policy: Policy = POLICY, *, triggered_by: str | None = None) -> World:
    """Return a day whose payouts are prepared."""
    world = a_day(policy=policy, triggered_by=triggered_by)
    prepare.prepare(world.services, world.day, now=MORNING)
    return world


def approved_day(policy: Policy = POLICY) -> World:
    """Return a day whose payouts are prepared and within the limit."""
    world = prepared_day(policy)
    approve.ask(world.services, world.day, now=MORNING)
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
    assert question["subject"] == "Pay KRW 88050 for 2026-02-12?"
    assert question["expires_at"] == "2026-02-13T18:00:00+09:00"
    assert world.states() == in_state("prepared")
    assert world.ledger.kept.days[ON].state is DayState.AWAITING_APPROVAL
    assert world.told() == ["approval.needed"]


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
    rejected = PaymentStatus(end_to_end_id=end_to_end(world, "B"), status="RJCT", reason="AC04")
    message = world.bank.says(FileAnswer(message_id="M1", file_id=None, group_status=None, payments=(rejected,)))
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
    assert inquire.inquire(world.services, now=MORNING + 48 * HOUR) == {}
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


def test_a_bank_that_took_a_file_and_says_nothing_is_asked_the_next_day() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    assert inquire.inquire(world.services, now=MORNING + 19 * HOUR) == {}
    assert inquire.inquire(world.services, now=MORNING + 20 * HOUR) == {"duplicate": 1}


def test_nobody_asks_for_a_file_of_which_everything_is_proven() -> None:
    world = sent_day(SubmissionOutcome.RECEIVED)
    world.bank.says(FileAnswer(message_id="M1", file_id=file_of(world), group_status="ACSC"))
    take_in.take_in(world.services, now=MORNING + HOUR)
    assert world.states() == in_state("accepted")
    assert inquire.inquire(world.services, now=MORNING + 48 * HOUR) == {}


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
        inquire.declare_absent(world.services, file_id, by="maker", reason=" ", now=MORNING + 48 * HOUR)
    with pytest.raises(Refused, match="may still arrive: wait"):
        inquire.declare_absent(world.services, file_id, by="maker", reason="asked", now=MORNING + 19 * HOUR)
    assert world.states() == in_state("unknown")
    said = inquire.declare_absent(world.services, file_id, by="maker", reason="asked", now=MORNING + 20 * HOUR)
    assert (said["payouts"], said["amounts"]) == (3, {"KRW": 88_050})
    assert world.states() == in_state("rejected")
    assert world.ledger.kept.files[file_id].state is FileState.REJECTED
    with pytest.raises(Refused, match="nothing is unknown"):
        inquire.declare_absent(world.services, file_id, by="maker", reason="asked", now=MORNING + 21 * HOUR)
