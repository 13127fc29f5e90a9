"""Preparing payouts: the gate, who answers for it, what earlier days left behind, and approval by a second person.

The slow ones take half a minute.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from settlement.cli import app
from settlement.domain.errors import Refused
from settlement.domain.payments.evidence import FactKind
from settlement.ports.days import DayRun, TaskFailure
from settlement.stages import apply, approve, close, gate, inquire, notify, report, submit
from typer.testing import CliRunner

from .conftest import Platform
from .payout_stories import (
    AT_BANK,
    MORNING,
    NEXT_MORNING,
    OWED,
    booked_at_bank,
    file_of,
    owed,
    settle,
    settle_next,
    states,
    use_policy,
    worked_day,
)

RUN_1 = DayRun(settlement_date=date(2026, 2, 16), revision=1, run_id="run-1")
LIMITED = 'limit.KRW = 50000\napprovers = ["checker"]'


def in_state(state: str, attempt: int = 1) -> list[tuple[str, int, int, str]]:
    return [(investor, amount, attempt, state) for investor, amount in OWED]


def decide(platform: Platform, *, at: str = MORNING, day: DayRun = RUN_1, **answer: Any) -> dict[str, Any]:
    with platform.services() as services:
        return approve.decide(services, day, now=platform.at(at), **answer)


def approval(platform: Platform, *, at: str = MORNING, by: str | None = None) -> dict[str, Any]:
    with platform.services() as services:
        return approve.ask(services, RUN_1, triggered_by=by, now=platform.at(at))


def fail(platform: Platform, *, at: str = MORNING) -> None:
    with platform.services() as services:
        end = TaskFailure(
            settlement_date=date(2026, 2, 16), run_id="run-1", task_id="transfer.submit", try_number=5, error="it broke"
        )
        notify.task_failed(services, end, now=platform.at(at))


# ------------------------------------------------------------------------------------------------------- the gate


def test_money_that_is_not_proven_is_never_paid_and_nobody_can_answer_for_it(platform: Platform) -> None:
    worked_day(platform)
    # The bank knows of no receipt, and its account is empty but for 50 000.
    platform.bank.change_account("PLATFORM", balance=50_000)
    platform.source("update core.repayments set bank_reference = 'ELSEWHERE'")
    platform.bank.receive(reference="SMALL", amount=1, on=date(2026, 2, 16), payer="X")
    with pytest.raises(Refused, match=r"Payouts of \[88050 KRW\] against proven money") as refusal:
        platform.settle("2026-02-16", at=MORNING, reason="override: I want it", triggered_by="maker")
    assert "no one can answer for that" in str(refusal.value)
    assert states(platform) == []
    assert owed(platform) == OWED


def test_an_objection_stops_the_day_until_somebody_answers_for_it_by_name(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, wait_until='wait_until = "10:00"\nlimit.KRW = 50000')
    with pytest.raises(
        Refused, match=r"Payouts of \[88050 KRW\] exceed the policy's gate.limit of \[50000\]"
    ) as refusal:
        settle(platform)
    assert "`settlement gate 2026-02-16 --override --by NAME --reason TEXT`" in str(refusal.value)
    assert (states(platform), owed(platform)) == ([], OWED)
    with platform.services() as services:
        said = gate.objections(services, date(2026, 2, 16))
        assert [(o.control, o.overridden_by) for o in said] == [("within_the_limit", None)]
        with pytest.raises(Refused, match="a name and a reason"):
            gate.override(services, date(2026, 2, 16), by=" ", reason="why", now=platform.at(MORNING))
        answered = gate.override(
            services,
            date(2026, 2, 16),
            by="finance lead",
            reason="month end, checked by hand",
            now=platform.at(MORNING),
        )
        assert [(o.overridden_by, o.reason) for o in answered] == [("finance lead", "month end, checked by hand")]
    settle(platform)
    assert states(platform) == in_state("accepted")


@pytest.mark.slow
def test_a_run_whose_reason_says_so_answers_in_the_name_of_who_triggered_it(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, wait_until='wait_until = "10:00"\nlimit.KRW = 50000')
    with pytest.raises(Refused, match=r"gate\.limit"):
        settle(platform, reason="override: nobody triggered it")
    settle(platform, run_id="run-2", reason="override: month end", triggered_by="lead")
    assert platform.rows("select control, overridden_by, reason from ledger.objections") == [
        ("within_the_limit", "lead", "month end")
    ]
    assert states(platform) == in_state("accepted")


def test_an_answer_covers_what_was_said_and_not_another_amount(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, wait_until='wait_until = "10:00"\nlimit.KRW = 50000')
    with pytest.raises(Refused, match="88050"):
        settle(platform)
    with platform.services() as services:
        gate.override(services, date(2026, 2, 16), by="lead", reason="checked", now=platform.at(MORNING))
    platform.source("update core.investors set status = 'frozen' where investor_id = 'C'")
    with pytest.raises(Refused, match="70526"):
        settle(platform)


def test_a_statement_that_has_not_come_can_be_answered_for(platform: Platform) -> None:
    worked_day(platform)
    platform.bank.change_account("PLATFORM", behaviour="statement-gap")
    with pytest.raises(Refused, match=r"statement of \[2026-02-16\] has not come"):
        settle(platform)
    with platform.services() as services:
        gate.override(services, date(2026, 2, 16), by="lead", reason="seen online", now=platform.at(MORNING))
    with pytest.raises(Refused, match="proven money of"):  # what it does not prove is not paid all the same
        settle(platform)


# ------------------------------------------------------------------------------------ what earlier days left behind


def test_payouts_that_a_failed_day_left_prepared_are_paid_by_the_next_day_once(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="prepare")
    fail(platform)
    said = settle_next(platform)
    assert said["prepare"]["released"] == {"KRW": 88050}
    assert states(platform) == [*in_state("rejected"), *in_state("accepted", attempt=2)]
    assert booked_at_bank(platform) == AT_BANK
    # The failed run is cleared after all: it finds nothing left to send.
    with platform.services() as services:
        now = platform.at(NEXT_MORNING)
        assert approve.ask(services, RUN_1, now=now) == {"needed": False, "payouts": 0}
        assert submit.submit(services, RUN_1, now=now) == {"files": 0}
    assert booked_at_bank(platform) == AT_BANK


def test_an_investor_who_was_frozen_after_the_approval_is_owed_and_held_until_he_is_free(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="approval")
    platform.source("update core.investors set status = 'frozen' where investor_id = 'C'")
    with platform.services() as services:
        assert submit.submit(services, RUN_1, now=platform.at(MORNING)) == {"files": 1, "received": 1}
    assert states(platform) == [*in_state("submitted")[:2], ("C", 17524, 1, "rejected")]
    assert owed(platform) == [("C", 17524)]
    assert platform.rows("select investor_id, amount, reason from reporting.held") == [("C", 17524, "frozen")]
    assert platform.rows("select kind, source from ledger.payout_facts") == [("withdrawn", "frozen")]
    platform.source("update core.investors set status = 'active' where investor_id = 'C'")
    settle_next(platform)
    assert states(platform)[-1] == ("C", 17524, 2, "accepted")
    assert booked_at_bank(platform) == AT_BANK
    with platform.services() as services:
        assert close.verify(services) == []


def test_a_file_that_was_written_and_never_handed_over_is_released_whole(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="approval")
    with platform.services() as services:
        submit._write_files(services, RUN_1, now=platform.at(MORNING))
    written = file_of(platform)
    fail(platform)
    settle_next(platform)
    assert states(platform) == [*in_state("rejected"), *in_state("accepted", attempt=2)]
    with platform.services() as services:
        now = platform.at(NEXT_MORNING)
        assert submit.submit(services, RUN_1, now=now) == {"files": 0}
        assert submit.send(services, [written], day=RUN_1, now=now) == {}
    assert booked_at_bank(platform) == AT_BANK


def test_what_may_be_at_the_bank_is_never_released(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="approval")
    with platform.services() as services:
        now = platform.at(MORNING)
        submit._write_files(services, RUN_1, now=now)
        submit._hand_over(services, file_of(platform), day=RUN_1, now=now)  # and then the worker dies
    fail(platform)
    said = settle_next(platform)
    assert "released" not in said["prepare"]
    assert states(platform) == in_state("submitted")
    assert owed(platform) == []


def test_a_question_that_waits_in_time_is_left_alone_by_the_next_day(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, approvers=LIMITED, timeout_hours="timeout_hours = 100")
    settle(platform, stop_after="approval")
    settle_next(platform, stop_after="approval")
    assert states(platform) == in_state("prepared")
    decide(platform, approved=True, by="checker", at=NEXT_MORNING)
    assert states(platform) == in_state("approved")


def test_a_question_that_nobody_answered_in_time_is_released_by_the_next_day(
    platform: Platform, tmp_path: Path
) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, approvers=LIMITED)
    settle(platform, stop_after="approval")
    settle_next(platform, stop_after="approval")
    assert states(platform) == [*in_state("rejected"), *in_state("prepared", attempt=2)]


# ------------------------------------------------------------------------------------------------------- approval


def test_payouts_above_the_limit_wait_for_a_second_person(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, approvers=LIMITED)
    question = settle(platform, stop_after="approval", triggered_by="maker")["approval"]
    assert (question["needed"], question["count"], question["amounts"]) == (True, 3, {"KRW": 88050})
    assert question["approvers"] == ["checker"]
    assert platform.rows("select state from ledger.days") == [("awaiting_approval",)]
    with platform.services() as services:  # whoever sends too early sends nothing
        assert submit.submit(services, RUN_1, now=platform.at(MORNING)) == {"files": 0}
    with pytest.raises(Refused, match=r"\[maker\] triggered this run and cannot approve"):
        decide(platform, approved=True, by="maker")
    assert decide(platform, approved=True, by="checker") == {"approved": True, "payouts": 3, "by": "checker"}
    assert states(platform) == in_state("approved")
    assert platform.rows("select decision, decided_by, payout_count from ledger.approvals") == [
        ("approved", "checker", 3)
    ]
    assert decide(platform, approved=True, by="checker")["payouts"] == 0  # the task is tried again


@pytest.mark.parametrize(
    ("answer", "at", "decision"),
    [
        ({"approved": False, "by": "checker"}, MORNING, "rejected"),
        ({"approved": False, "by": "timeout"}, "2026-02-17T18:00+09:00", "expired"),
        ({"approved": True, "by": "checker"}, "2026-02-17T18:00:01+09:00", "expired"),
    ],
)
def test_a_rejection_gives_the_money_back_and_the_day_goes_on(
    platform: Platform, tmp_path: Path, answer: dict[str, Any], at: str, decision: str
) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, approvers=LIMITED)
    settle(platform, stop_after="approval")
    assert decide(platform, at=at, **answer)["approved"] is False
    assert platform.rows("select decision from ledger.approvals") == [(decision,)]
    assert (states(platform), owed(platform)) == (in_state("rejected"), OWED)
    with platform.services() as services:
        now = platform.at(at)
        assert submit.submit(services, RUN_1, now=now) == {"files": 0}
        inquire.hear_answers(services, RUN_1, now=now)
        assert report.report(services, RUN_1, now=now)["state"].startswith("settled")
    assert platform.bank.payments() == []


def test_payouts_that_changed_are_asked_for_again(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, approvers=LIMITED)
    platform.source("update core.investors set status = 'frozen' where investor_id = 'C'")
    first = settle(platform, stop_after="approval")["approval"]
    platform.source("update core.investors set status = 'active' where investor_id = 'C'")
    settle(platform, stop_after="prepare")
    with pytest.raises(Refused, match="changed after they were put to a second person"):
        decide(platform, approved=True, by="checker")
    second = approval(platform)
    assert (first["amounts"], second["amounts"]) == ({"KRW": 70526}, {"KRW": 88050})
    assert first["approval_id"] != second["approval_id"]
    assert decide(platform, approved=True, by="checker")["payouts"] == 3
    assert platform.rows("select decision from ledger.approvals order by amounts::text") == [
        ("superseded",),
        ("approved",),
    ]


@pytest.mark.slow
def test_the_limit_counts_what_went_out_before_on_the_same_day(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, approvers='limit.KRW = 80000\napprovers = ["checker"]')
    platform.source("update core.investors set status = 'frozen' where investor_id = 'C'")
    assert settle(platform)["approval"] == {"needed": False, "payouts": 2}
    platform.source("update core.investors set status = 'active' where investor_id = 'C'")
    question = settle(platform, stop_after="approval")["approval"]
    assert (question["needed"], question["count"], question["amounts"]) == (True, 1, {"KRW": 17524})
    assert decide(platform, approved=True, by="checker")["payouts"] == 1
    settle(platform)
    assert states(platform) == in_state("accepted")


# ----------------------------------------------------------------------------------------------- chunks and minimum


@pytest.mark.slow
def test_a_rejected_chunk_of_several_goes_out_again_as_its_next_attempt(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, maximum="maximum = 20000")
    settle(platform, stop_after="submit")
    rows = platform.rows("select chunk, amount from ledger.payouts where payee_id = 'A' order by chunk")
    assert rows == [(1, 20000), (2, 20000), (3, 3790)]
    with platform.services() as services:
        now = platform.at(MORNING)
        inquire.hear_answers(services, RUN_1, now=now)
        with services.ledger.books(posting=True) as books:
            found = books.payouts.find()
            second = found.loc[(found["payee_id"] == "A") & (found["chunk"] == 2), "payout_id"].tolist()
            books.payouts.keep_facts(second, FactKind.REFUSED, source="test", now=now)
            apply.follow(services, books, second, cause="test", now=now)
    settle(platform, run_id="run-2")
    assert platform.rows(
        "select chunk, attempt, amount, state from ledger.payouts where payee_id = 'A' order by chunk, attempt"
    ) == [
        (1, 1, 20000, "accepted"),
        (2, 1, 20000, "rejected"),
        (2, 2, 20000, "accepted"),
        (3, 1, 3790, "accepted"),
    ]
    assert sum(amount for name, amount in booked_at_bank(platform) if name == "김하나") == 43790 + 20000


def test_a_balance_below_the_minimum_waits_for_more(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, minimum="minimum = 20000")
    settle(platform)
    assert platform.rows("select investor_id, amount, reason from reporting.held") == [("C", 17524, "below_minimum")]
    platform.source(
        "insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount) values"
        " ('L1-2-P', 'L1', 2, 'principal', '2026-02-19', 50000)"
    )
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values"
        " ('R2', 'L1', '2026-02-19 11:00+09', 45000, 'REF-R2')"
    )
    platform.at("2026-02-19T06:00+09:00")
    platform.bank.receive(reference="REF-R2", amount=45000, on=date(2026, 2, 19), payer="홍길동")
    settle_next(platform)
    # 45 000 + the held 5 000 by outstanding 460 000 : 276 000 : 184 000 → 25 000, 15 000, 10 000.
    assert states(platform) == [
        ("A", 43790, 1, "booked"),
        ("B", 26736, 1, "booked"),
        ("A", 25000, 1, "accepted"),
        ("C", 27524, 1, "accepted"),
    ]
    assert platform.rows("select investor_id, amount, reason from reporting.held") == [("B", 15000, "below_minimum")]


def test_the_command_line_shows_what_was_said_and_takes_an_answer(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, wait_until='wait_until = "10:00"\nlimit.KRW = 50000')
    with pytest.raises(Refused):
        settle(platform)
    shell = CliRunner()
    shown = shell.invoke(app, ["gate", "2026-02-16"])
    assert (shown.exit_code, "within_the_limit: Payouts of [88050 KRW]" in shown.stdout) == (1, True)
    said = shell.invoke(app, ["gate", "--override", "--by", "lead", "--reason", "month end", "--json"])
    assert said.exit_code == 0
    assert json.loads(said.stdout)[0]["overridden_by"] == "lead"
    settle(platform)
    assert states(platform) == in_state("accepted")


def test_what_was_said_against_a_date_that_is_paid_by_now_is_over(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, wait_until='wait_until = "10:00"\nlimit.KRW = 50000')
    with pytest.raises(Refused):
        settle(platform)
    use_policy(platform, tmp_path, wait_until='wait_until = "10:00"')
    settle(platform)
    shell = CliRunner()
    shown = shell.invoke(app, ["gate", "2026-02-16", "--lang", "en"])
    assert (shown.exit_code, shown.stdout.strip()) == (
        0,
        "within_the_limit: Payouts of [88050 KRW] exceed the policy's gate.limit of [50000]"
        " - over: the date has passed the gate since",
    )
    said = json.loads(shell.invoke(app, ["gate", "2026-02-16", "--json"]).stdout)
    assert [(found["is_over"], found["overridden_by"]) for found in said] == [(True, None)]
    answered = shell.invoke(app, ["gate", "2026-02-16", "--override", "--by", "lead", "--reason", "late"])
    assert isinstance(answered.exception, Refused)
