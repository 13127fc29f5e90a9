"""The books in memory answer as the books on PostgreSQL do: the same stories of calls, the same literal answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from settlement.adapters.ledger.books import PostgresLedger
from settlement.adapters.ledger.outbox.repository import Outbox
from settlement.adapters.lending_core.source import PostgresLendingCore
from settlement.adapters.slack import SlackAlerts
from settlement.domain import frames
from settlement.domain.alerts.day import DayCompleted, DayProgress, DayStarted, Step, StepState
from settlement.domain.alerts.event import Money, Severity
from settlement.domain.alerts.payouts import ApprovalDone, ApprovalNeeded, PayoutsUnknown
from settlement.domain.alerts.task import TaskFailed
from settlement.domain.alerts.watch import Resolved
from settlement.domain.bank import matching
from settlement.domain.bank import statement as statements
from settlement.domain.bank.matching import Match, OpenLine, Subject, SubjectKind
from settlement.domain.bank.messages import Message, MessageState, Submission, SubmissionOutcome
from settlement.domain.bank.statement import LineState, Movement, Statement
from settlement.domain.books import postings
from settlement.domain.books.accounts import BORROWER_CREDIT, BORROWER_PAYABLE
from settlement.domain.books.postings import Entry, JournalEntry
from settlement.domain.breaks import BreakState, Finding, Way
from settlement.domain.breaks import Decision as BreakDecision
from settlement.domain.days import BankCalendar, DayState, SettlementCalendar, Window
from settlement.domain.errors import Displaced
from settlement.domain.payments.approval import Decision
from settlement.domain.payments.evidence import FactKind
from settlement.domain.payments.files import FileState
from settlement.domain.payments.gate import Objection
from settlement.domain.payments.payouts import end_to_end_id
from settlement.domain.payments.refunds import RefundPart
from settlement.domain.payments.state import PayoutState
from settlement.domain.policy import AlertChannel, Alerts
from settlement.ports import outbox
from settlement.ports.approvals import Question
from settlement.ports.bank_lines import WaitingMessage
from settlement.ports.books import Books, Ledger
from settlement.ports.days import BackfillEnd, DayRun, RunRequest
from settlement.ports.payouts import Uncredited, UnderWay
from settlement.ports.refunds import TakenRefund
from settlement.ports.source import LendingCore

from tests.fakes import MORNING, ON, Impossible, MemoryAlerts, MemoryBooks, MemoryCore, MemoryLedger, give, order
from tests.stages.conftest import transaction_of

REFUSED = (Impossible, sa.exc.DBAPIError)
HOUR, NEXT = timedelta(hours=1), date(2026, 2, 13)
CALENDAR = SettlementCalendar(calendar=BankCalendar("KR", ("public", "bank")), timezone="Asia/Seoul")
POLICY = Alerts(
    channels=(
        AlertChannel(id="C0ALL"),
        AlertChannel(id="C0LOUD", severities=(Severity.CRITICAL,)),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two that must agree."""

    ledger: Ledger
    alerts: outbox.Alerts


@pytest.fixture(params=["memory", "postgres"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    if request.param == "memory":
        memory = MemoryLedger(alerts=POLICY)
        yield Side(ledger=memory, alerts=MemoryAlerts(memory, alerts=POLICY))
        return
    engine = sa.create_engine(request.getfixturevalue("settlement_db_url"))
    slack = SlackAlerts(
        engine, POLICY, outbox=partial(Outbox, alerts=POLICY), timezone="Asia/Seoul", airflow_url="", runbook_url=""
    )
    yield Side(ledger=PostgresLedger(engine, alerts=POLICY), alerts=slack)
    engine.dispose()


@pytest.fixture
def ledger(side: Side) -> Ledger:
    return side.ledger


def opened(ledger: Ledger, *, on: date = ON, run_id: str = "run-1", **asked: Any) -> DayRun:
    with ledger.books(settlement_date=on) as books:
        return books.days.open(RunRequest(settlement_date=on, run_id=run_id, **asked), settlement_date=on, now=MORNING)


def new_payouts(*payees: tuple[str, int], chunk: int = 1, attempt: int = 1, on: date = ON) -> pd.DataFrame:
    """Return payouts of so many won to investors, who have an account each."""
    ids = [f"{on:%Y%m%d}.1.{investor}.KRW.{chunk}.{attempt}" for investor, _ in payees]
    return frames.build(
        frames.NEW_PAYOUTS,
        [
            (
                payout_id,
                end_to_end_id(payout_id, settlement_date=on, revision=1),
                "investor",
                investor,
                "KRW",
                chunk,
                attempt,
                amount,
                f"name of {investor}",
                f"acc-{investor}",
                None,
            )
            for payout_id, (investor, amount) in zip(ids, payees, strict=True)
        ],
    )


NO_HOLDS = frames.build(frames.HOLDS)
A, B = "20260212.1.A.KRW.1.1", "20260212.1.B.KRW.1.1"


def prepared(ledger: Ledger, **owed: int) -> DayRun:
    """Open the day, owe investors so much, and prepare all of it."""
    day = opened(ledger)
    with ledger.books(day=day, posting=True) as books:
        give(books, owed, now=MORNING)
        books.payouts.prepare(day, new_payouts(*owed.items()), NO_HOLDS, booked_on=day.settlement_date, now=MORNING)
    return day


def step(ledger: Ledger, payout_id: str, *states: PayoutState, at: datetime = MORNING, **evidence: Any) -> None:
    """Take a payout through states; the evidence stands with the last of them."""
    with ledger.books(posting=True) as books:
        for state in states:
            said = evidence if state is states[-1] else {}
            books.payouts.step([payout_id], state, cause="test", now=at, evidence=said)


def under_way(amount: int, *, sent_at: datetime | None = MORNING, is_returned: bool = False) -> UnderWay:
    """Return that so many won of the day may still leave."""
    return UnderWay(
        currency="KRW", settlement_date=ON, submitted_at=sent_at, is_returned=is_returned, amount=amount
    )  # fmt: skip


def rows(frame: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    """Return some columns of a frame as rows of plain values, sorted: what is in no order agrees in any."""
    return sorted(frames.rows(frame, *names))


TO_THE_BANK = (PayoutState.APPROVED, PayoutState.SUBMITTED)


# ----------------------------------------------------------------------------------------------------------- payouts


def test_a_lender_that_was_not_taken_over_began_with_nothing(ledger: Ledger) -> None:
    with ledger.books() as books:
        assert books.opening.find() is None
        assert books.opening.under_way() == []
        assert books.opening.suspended() == {}
        assert books.opening.booked("KRW") == 0


def test_what_is_owed_is_prepared_and_held(ledger: Ledger) -> None:
    day = opened(ledger)
    held = frames.build(frames.HOLDS, [("investor", "C", "KRW", 5, "frozen")])
    with ledger.books(day=day, posting=True) as books:
        give(books, {"A": 100, "B": 70, "C": 5}, now=MORNING)
        assert rows(books.payouts.payables(), "payee_id", "currency", "amount", "attempt") == [
            ("A", "KRW", 100, 1), ("B", "KRW", 70, 1), ("C", "KRW", 5, 1)
        ]  # fmt: skip
        assert books.payouts.has_paid("run-1") is False
        books.payouts.prepare(day, new_payouts(("A", 100), ("B", 70)), held, booked_on=day.settlement_date, now=MORNING)
    with ledger.books(read_only=True) as books:
        assert rows(books.payouts.payables(), "payee_id", "amount") == [("C", 5)]
        assert rows(books.payouts.holds(), *frames.HOLDS.column_names) == [
            ("investor", "C", "KRW", 5, "frozen")
        ]  # fmt: skip
        assert rows(books.payouts.slots(day), "payee_id", "chunk", "attempt", "is_free") == [
            ("A", 1, 1, False), ("B", 1, 1, False)
        ]  # fmt: skip
        assert books.payouts.under_way() == [under_way(170, sent_at=None)]
        assert books.payouts.usual_totals([ON, NEXT]) == {"KRW": [170]}
        assert (books.payouts.has_paid("run-1"), books.payouts.has_paid("run-2")) == (True, False)
        assert books.journal.balances("") == {
            ("client_bank", "KRW"): 175,
            ("opening_balance", "KRW"): -175,
            ("repayments_unallocated", "KRW"): 175,
            ("investor_payable:C", "KRW"): -5,
            ("payouts_in_transit", "KRW"): -170,
        }
        found = books.payouts.find()
        assert next(frames.rows(found, *frames.PAYOUTS.column_names)) == (
            A, end_to_end_id(A, settlement_date=ON, revision=1), "investor", "A", "KRW", 1, 1, 100,
            "name of A", "acc-A", None, ON, 1, "prepared", None, None, None, None,
        )  # fmt: skip
        assert dict(found.dtypes.map(str)) == {column.name: column.kind.value for column in frames.PAYOUTS.columns}


def test_a_payout_above_its_balance_is_refused_and_nothing_of_its_transaction_is_kept(ledger: Ledger) -> None:
    day = opened(ledger)

    def pay_too_much() -> None:
        with ledger.books(day=day, posting=True) as books:
            give(books, {"A": 100}, now=MORNING)
            books.payouts.prepare(day, new_payouts(("A", 101)), NO_HOLDS, booked_on=day.settlement_date, now=MORNING)

    with pytest.raises(REFUSED):
        pay_too_much()
    with ledger.books(read_only=True) as books:
        assert (len(books.payouts.find()), books.journal.balance("client_bank", "KRW")) == (0, 0)


def test_a_second_payout_lives_in_a_place_only_when_the_first_is_proven_unpaid(ledger: Ledger) -> None:
    day = prepared(ledger, A=100)
    second = new_payouts(("A", 100), attempt=2)
    with ledger.books(day=day, posting=True) as books:
        give(books, {"A": 100}, now=MORNING)
    with pytest.raises(REFUSED), ledger.books(day=day, posting=True) as books:
        books.payouts.prepare(day, second, NO_HOLDS, booked_on=day.settlement_date, now=MORNING)
    with ledger.books(day=day, posting=True) as books:
        books.payouts.step([A], PayoutState.REJECTED, cause="released", now=MORNING)
        books.payouts.credit_back(books.payouts.find(), state=PayoutState.REJECTED, settlement_date=ON, now=MORNING)
        assert rows(books.payouts.payables(), "payee_id", "amount", "attempt") == [("A", 200, 2)]
        assert rows(books.payouts.slots(day), "chunk", "attempt", "is_free") == [(1, 1, True)]
        assert (books.payouts.under_way(), books.payouts.usual_totals([ON])) == ([], {})
        books.payouts.prepare(day, second, NO_HOLDS, booked_on=day.settlement_date, now=MORNING + HOUR)
        assert rows(books.payouts.slots(day), "chunk", "attempt", "is_free") == [(1, 2, False)]


def test_a_step_leaves_its_traces_and_one_that_does_not_exist_is_refused(ledger: Ledger) -> None:
    prepared(ledger, A=100, B=70)
    step(ledger, A, *TO_THE_BANK, PayoutState.UNKNOWN)
    step(ledger, B, *TO_THE_BANK, PayoutState.BOOKED, booked_on="2026-02-13")
    with ledger.books(read_only=True) as books:
        assert rows(books.payouts.find(), "payout_id", "state", "booked_on", "bank_reason") == [
            (A, "unknown", None, None), (B, "booked", NEXT, None)
        ]  # fmt: skip
        assert set(books.payouts.find()["submitted_at"]) == {pd.Timestamp(MORNING)}
        assert books.payouts.unknown_dates() == {ON}
        assert rows(books.payouts.find(ON, states=[PayoutState.BOOKED]), "payout_id") == [(B,)]
        assert len(books.payouts.find(NEXT)) == 0
        wanted = [end_to_end_id(B, settlement_date=ON, revision=1), "ELSEWHERE"]
        assert rows(books.payouts.by_end_to_end(wanted), "payout_id") == [(B,)]
        assert books.days.payout_sums(ON) and [
            (sums.currency, sums.state, sums.count, sums.amount) for sums in books.days.payout_sums(ON)
        ] == [("KRW", PayoutState.BOOKED, 1, 70), ("KRW", PayoutState.UNKNOWN, 1, 100)]
    for payout_id, wrong in ((A, PayoutState.APPROVED), (B, PayoutState.ACCEPTED), (B, PayoutState.BOOKED)):
        with pytest.raises(REFUSED):
            step(ledger, payout_id, wrong)
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        books.payouts.step([A, B], PayoutState.ACCEPTED, cause="test", now=MORNING)
    with ledger.books(read_only=True) as books:
        assert rows(books.payouts.find(), "state") == [("booked",), ("unknown",)]


def test_a_rejected_payout_gives_its_money_back_once_and_its_account_is_remembered(ledger: Ledger) -> None:
    prepared(ledger, A=100)
    step(ledger, A, *TO_THE_BANK)
    with ledger.books(posting=True) as books:
        evidence = [{"bank_reason": "AC04", "text": "계좌 해지"}]
        books.payouts.step([A], PayoutState.REJECTED, cause="test", now=MORNING, evidence=evidence)
        books.payouts.credit_back(books.payouts.find(), state=PayoutState.REJECTED, settlement_date=ON, now=MORNING)
        books.payouts.refuse_accounts({A: "AC04"}, now=MORNING)
        books.payouts.refuse_accounts({A: "AC06"}, now=MORNING)
    with ledger.books(read_only=True) as books:
        assert rows(books.payouts.find(), "state", "bank_reason") == [("rejected", "AC04")]
        assert rows(books.payouts.refused_accounts(), "payee_id", "account", "bank") == [("A", "acc-A", "")]
        assert books.journal.balance("investor_payable:A", "KRW") == -100
        assert books.journal.balance("payouts_in_transit", "KRW") == 0
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        books.payouts.credit_back(books.payouts.find(), state=PayoutState.RETURNED, settlement_date=ON, now=MORNING)


def test_a_payout_that_is_paid_again_may_turn_out_to_have_been_paid_at_first(ledger: Ledger) -> None:
    day = prepared(ledger, A=100)
    step(ledger, A, *TO_THE_BANK, PayoutState.REJECTED)
    second = new_payouts(("A", 100), attempt=2)
    with ledger.books(day=day, posting=True) as books:
        books.payouts.credit_back(books.payouts.find(), state=PayoutState.REJECTED, settlement_date=ON, now=MORNING)
        books.payouts.prepare(day, second, NO_HOLDS, booked_on=day.settlement_date, now=MORNING + HOUR)
    step(ledger, A, PayoutState.BOOKED, booked_on="2026-02-13")
    with ledger.books(posting=True) as books:
        first = books.payouts.find(states=[PayoutState.BOOKED])
        books.payouts.take_back(first, settlement_date=ON, now=MORNING + HOUR)
        assert rows(books.payouts.find(), "attempt", "state") == [(1, "booked"), (2, "prepared")]
        assert books.journal.balance("investor_payable:A", "KRW") == 100
        assert books.journal.balance("payouts_in_transit", "KRW") == -200


def test_what_came_back_before_the_statement_showed_it_leave_is_under_way_until_it_does(ledger: Ledger) -> None:
    prepared(ledger, A=100)
    step(ledger, A, *TO_THE_BANK, PayoutState.RETURNED)
    with ledger.books(posting=True) as books:
        assert books.payouts.under_way() == [under_way(100, is_returned=True)]
        for on, first in ((NEXT, NEXT), (ON, ON), (NEXT, ON)):
            books.payouts.note_booking({A: on})
            assert rows(books.payouts.find(), "state", "booked_on") == [("returned", first)]
        assert books.payouts.under_way() == []


def test_what_is_under_way_is_told_by_sending_less_what_lines_in_suspense_show(ledger: Ledger) -> None:
    prepared(ledger, A=100, B=70, C=5)
    step(ledger, A, *TO_THE_BANK)
    step(ledger, B, *TO_THE_BANK, at=MORNING + HOUR)
    said = statement("S1", 1000, naming(A, -60), naming(A, -50), naming(A, 60), naming(B, -75))
    with ledger.books(posting=True) as books:
        keep(books, said)
        assert books.payouts.under_way() == [
            under_way(40), under_way(0, sent_at=MORNING + HOUR), under_way(5, sent_at=None)
        ]  # fmt: skip
        books.bank_lines.suspend(books.bank_lines.lines([LineState.OPEN]), now=MORNING)
        assert [part.amount for part in books.payouts.under_way()] == [40, 0, 5]
        fee = Subject(
            kind=SubjectKind.ACCOUNT, subject_id="bank_charges", amount=-60, currency="KRW", reference="bank_charges"
        )
        (line,) = [line for line in lines_of(books, LineState.SUSPENDED) if line.amount == -60]
        keep_matches(books, Match((line,), (fee,), "by_hand", "a fee"))
        assert [part.amount for part in books.payouts.under_way()] == [100, 0, 5]


def test_payouts_are_stranded_where_their_day_failed_or_nobody_decided_in_time(ledger: Ledger) -> None:
    prepared(ledger, A=100, B=70)
    step(ledger, B, *TO_THE_BANK)
    earlier, later = MORNING - HOUR, MORNING + HOUR
    with ledger.books(posting=True) as books:
        stranded = books.payouts.stranded
        assert rows(stranded(before=NEXT, prepared_before=later), "payout_id") == [(A,)]
        assert len(stranded(before=ON, prepared_before=later)) == 0
        assert len(stranded(before=NEXT, prepared_before=earlier)) == 0
        books.days.set_state(ON, DayState.FAILED, now=later, failure="transfer: it broke")
        assert rows(stranded(before=NEXT, prepared_before=earlier), "payout_id") == [(A,)]


def test_a_run_that_is_cleared_has_paid_only_what_it_paid_since(ledger: Ledger) -> None:
    prepared(ledger, A=100)
    step(ledger, A, *TO_THE_BANK)
    opened(ledger)
    with ledger.books(read_only=True) as books:
        assert books.payouts.has_paid("run-1") is False


# ----------------------------------------------------------------------------------------- what is known of a payout


def test_what_becomes_known_of_payouts_is_kept_once_for_each_source(ledger: Ledger) -> None:
    prepared(ledger, A=100, B=70)
    told = ("payout_id", "is_return_announced", "is_unpaid", "return_said", "rejection_said")
    with ledger.books(posting=True) as books:
        assert rows(books.payouts.evidence([B, A, B, "P9"]), *told) == [
            (A, False, False, None, None), (B, False, False, None, None)
        ]  # fmt: skip
        refused: list[dict[str, Any]] = [{"text": "계좌 해지", "bank_reason": "AC04", "code": 7}, {"of": "file"}]
        books.payouts.keep_facts([A, B], FactKind.REFUSED, source="file F1", evidence=refused, now=MORNING)
        books.payouts.keep_facts([A], FactKind.REFUSED, source="file F1", evidence={"again": ON}, now=MORNING + HOUR)
        books.payouts.keep_facts(
            [A], FactKind.RETURN_ANNOUNCED, source="R1", amounts=[90], evidence={"on": ON}, now=MORNING
        )  # fmt: skip
        books.payouts.keep_facts([], FactKind.ABSENT, source="maker", now=MORNING)
        assert rows(books.payouts.evidence([A, B]), *told) == [
            (A, True, True, '{"on": "2026-02-12"}', '{"code": 7, "text": "계좌 해지", "bank_reason": "AC04"}'),
            (B, False, True, None, '{"of": "file"}'),
        ]
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        books.payouts.keep_facts(["P9"], FactKind.ABSENT, source="maker", now=MORNING)


@pytest.mark.parametrize("kind", [FactKind.WITHDRAWN, FactKind.REFUSED, FactKind.ABSENT])
def test_each_proof_that_a_payout_was_not_paid_counts(ledger: Ledger, kind: FactKind) -> None:
    prepared(ledger, A=100)
    with ledger.books(posting=True) as books:
        books.payouts.keep_facts([A], kind, source="S", evidence={"by": "maker"}, now=MORNING)
        assert rows(books.payouts.evidence([A]), "is_unpaid", "rejection_said") == [(True, '{"by": "maker"}')]


COUNTS = (
    "debits", "credits", "explained_debits", "explained_credits", "matched_debits", "matched_credits", "booked_on",
    "credit_reason",
)  # fmt: skip


def test_lines_that_name_a_payout_count_before_they_are_matched_and_once_afterwards(ledger: Ledger) -> None:
    prepared(ledger, A=100)
    step(ledger, A, *TO_THE_BANK)
    said = statement(
        "S1", 1000,
        naming(A, -100, on=NEXT), naming(A, -103), naming(A, -99), naming(A, -101, is_charge=True),
        naming(A, 100, reason="MS03"), naming(A, 51), naming(A, 50), naming(A, 20, is_return=True, reason="AC04"),
        naming(A, 101), naming(B, -100),
    )  # fmt: skip
    with ledger.books(posting=True) as books:
        assert rows(books.payouts.evidence([A]), *COUNTS) == [(0, 0, 0, 0, 0, 0, None, None)]
        keep(books, said)
        assert rows(books.payouts.evidence([A]), *COUNTS) == [(2, 3, 0, 0, 0, 0, ON, "MS03")]
        lines = {line.amount: line for line in lines_of(books) if not line.is_charge}
        debits, credits = [lines[amount].line_id for amount in (-100, -103)], [lines[n].line_id for n in (100, 51, 20)]
        assert rows(books.payouts.evidence([A]), "debit_line", "credit_line") == [(min(debits), max(credits))]
        leaves, back = subject(SubjectKind.PAYOUT, A, -100), subject(SubjectKind.PAYOUT_RETURN, A, 100)
        keep_matches(
            books,
            Match((lines[-100],), (leaves,), "by_reference", "its id"),
            Match((lines[100],), (back,), "by_reference", "its id"),
        )
        assert rows(books.payouts.evidence([A]), *COUNTS) == [(2, 3, 0, 0, 1, 1, ON, "MS03")]
        again = replace(leaves, occurrence=2)
        keep_matches(books, Match((lines[-103],), (again,), "tolerance", "a fee"))
        assert rows(books.payouts.evidence([A]), *COUNTS) == [(2, 3, 0, 0, 2, 1, ON, "MS03")]
        assert books.journal.balance("bank_charges", "KRW") == 3
        everything = books.payouts.evidence([A])
        assert rows(everything, "payout_id", "payee_id", "settlement_date", "currency", "amount", "state") == [
            (A, "A", ON, "KRW", 100, "submitted")
        ]
        assert dict(everything.dtypes.map(str)) == {
            column.name: column.kind.value for column in frames.EVIDENCE.columns
        }


def test_a_line_that_a_person_booked_elsewhere_counts_as_explained_and_is_a_proof(ledger: Ledger) -> None:
    prepared(ledger, A=100)
    step(ledger, A, *TO_THE_BANK)
    with ledger.books(posting=True) as books:
        keep(books, statement("S1", 1000, naming(A, -100), naming(A, 100)))
        for line in lines_of(books):
            elsewhere = subject(SubjectKind.ACCOUNT, "bank_charges", line.amount)
            keep_matches(books, Match((line,), (elsewhere,), "by_hand", "no payout"))
            kind = FactKind.DEBIT_EXPLAINED if line.amount < 0 else FactKind.CREDIT_EXPLAINED
            books.payouts.keep_facts([A], kind, source=line.line_id, amounts=[line.amount], now=MORNING)
        assert rows(books.payouts.evidence([A]), *COUNTS) == [(1, 1, 1, 1, 0, 0, ON, None)]
        assert books.payouts.spoken_of([A, B]) == {A}
        debit, credit = sorted(lines_of(books, LineState.MATCHED), key=lambda line: line.amount)
        lines = rows(books.payouts.evidence([A]), "debit_line", "credit_line")
        assert lines == [(debit.line_id, credit.line_id)]
        assert rows(books.payouts.evidence([A]), "rejection_said", "return_said", "is_unpaid") == [(None, None, False)]


def test_money_is_given_back_taken_again_and_given_back_again_and_never_twice_at_once(ledger: Ledger) -> None:
    prepared(ledger, A=100, B=70)
    step(ledger, A, *TO_THE_BANK, PayoutState.REJECTED)

    def give_back(state: PayoutState) -> None:
        with ledger.books(posting=True) as books:
            books.payouts.credit_back(books.payouts.find().head(1), state=state, settlement_date=ON, now=MORNING)

    def take_back() -> None:
        with ledger.books(posting=True) as books:
            books.payouts.take_back(books.payouts.find(), settlement_date=ON, now=MORNING)

    def owed() -> tuple[int, int]:
        with ledger.books(read_only=True) as books:
            return books.journal.balance("investor_payable:A", "KRW"), books.journal.balance(
                "payouts_in_transit", "KRW"
            )

    take_back()
    assert owed() == (0, -170)
    give_back(PayoutState.REJECTED)
    assert owed() == (-100, -70)
    for state in (PayoutState.REJECTED, PayoutState.RETURNED):
        with pytest.raises(REFUSED):
            give_back(state)
    take_back()
    assert owed() == (0, -170)
    take_back()
    assert owed() == (0, -170)
    give_back(PayoutState.RETURNED)
    assert owed() == (-100, -70)
    with pytest.raises(REFUSED):
        give_back(PayoutState.RETURNED)
    take_back()
    assert owed() == (0, -170)


def test_an_entry_is_reversed_at_most_once(ledger: Ledger) -> None:
    written_off = postings.written_off("receipts_in_transit", 5)
    with ledger.books(posting=True) as books:
        first = JournalEntry(entry=written_off, currency="KRW", repayment_id="R1")
        books.journal.post(first, settlement_date=ON, now=MORNING)
    undone = JournalEntry(
        entry=postings.undone(written_off), currency="KRW", repayment_id="R1", reverses_entry_id=1
    )  # fmt: skip
    with ledger.books(posting=True) as books:
        books.journal.post(undone, settlement_date=ON, now=MORNING)
        assert books.journal.balances("") == {}
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        books.journal.post(undone, settlement_date=ON, now=MORNING)


def test_what_was_written_off_of_receipts_and_payouts_is_undone_once(ledger: Ledger) -> None:
    prepared(ledger, A=100)

    def write_off(
        books: Books, account: str, amount: int, *, payout_id: str | None = None, repayment_id: str | None = None
    ) -> None:
        entry = postings.written_off(account, amount)
        made = JournalEntry(entry=entry, currency="KRW", payout_id=payout_id, repayment_id=repayment_id)
        books.journal.post(made, settlement_date=ON, now=MORNING)

    def standing(books: Books) -> tuple[int, ...]:
        accounts = ("difference", "receipts_in_transit", "payouts_in_transit")
        return tuple(books.journal.balance(account, "KRW") for account in accounts)

    with ledger.books(posting=True) as books:
        write_off(books, "receipts_in_transit", 5, repayment_id="R1")
        write_off(books, "receipts_in_transit", 7, repayment_id="R2")
        write_off(books, "payouts_in_transit", -100, payout_id=A)
        assert standing(books) == (-88, -12, 0)
        books.journal.undo_write_offs([], settlement_date=ON, now=MORNING)
        books.journal.undo_write_offs(["R1", A, "R9"], settlement_date=ON, now=MORNING)
        assert standing(books) == (7, -7, -100)
        books.journal.undo_write_offs(["R1", A], settlement_date=ON, now=MORNING)
        assert standing(books) == (7, -7, -100)
        write_off(books, "receipts_in_transit", 5, repayment_id="R1")
        books.journal.undo_write_offs(["R1"], settlement_date=ON, now=MORNING)
        assert standing(books) == (7, -7, -100)


def test_what_the_bank_debited_of_a_returned_payout_is_owed_until_it_is_credited_or_written_off(
    ledger: Ledger,
) -> None:
    prepared(ledger, A=100, B=70)
    step(ledger, A, *TO_THE_BANK)
    step(ledger, B, *TO_THE_BANK)
    leaves, back = subject(SubjectKind.PAYOUT, A, -100), subject(SubjectKind.PAYOUT_RETURN, A, 100)
    with ledger.books(posting=True) as books:
        keep(books, statement("S1", 1000, naming(A, -100), naming(A, -100), naming(A, 100)))
        first, second, credit = sorted(lines_of(books), key=lambda line: line.amount)
        for line, occurrence in ((first, 1), (second, 2)):
            shown = Match((line,), (replace(leaves, occurrence=occurrence),), "by_reference", "its id")
            keep_matches(books, shown)
        assert books.payouts.uncredited() == []
    step(ledger, A, PayoutState.BOOKED, PayoutState.RETURNED, booked_on="2026-02-12")
    step(ledger, B, PayoutState.RETURNED)
    owed = Uncredited(payout_id=A, currency="KRW", amount=200, booked_on=ON, announced_at=None)
    with ledger.books(posting=True) as books:
        books.payouts.note_booking({A: ON})
        assert books.payouts.uncredited() == [owed]
        for source, at in (("R2", MORNING + HOUR), ("R1", MORNING)):
            books.payouts.keep_facts([A], FactKind.RETURN_ANNOUNCED, source=source, now=at)
        assert books.payouts.uncredited() == [replace(owed, announced_at=MORNING)]
        keep_matches(books, Match((credit,), (back,), "by_reference", "its id"))
        assert books.payouts.uncredited() == [replace(owed, amount=100, announced_at=MORNING)]
        written_off = JournalEntry(
            entry=postings.written_off("payouts_in_transit", 100), currency="KRW", payout_id=A
        )  # fmt: skip
        books.journal.post(written_off, settlement_date=ON, now=MORNING)
        assert books.payouts.uncredited() == []
        books.journal.undo_write_offs([A], settlement_date=ON, now=MORNING)
        assert books.payouts.uncredited() == [replace(owed, amount=100, announced_at=MORNING)]


def test_a_booked_payout_that_was_said_not_to_be_paid_is_contradicted(ledger: Ledger) -> None:
    prepared(ledger, A=100, B=70, C=5)
    c = "20260212.1.C.KRW.1.1"
    with ledger.books(posting=True) as books:
        books.payouts.keep_facts([A], FactKind.REFUSED, source="report M1", now=MORNING)
        books.payouts.keep_facts([A, B], FactKind.ABSENT, source="maker", now=MORNING)
        books.payouts.keep_facts([c], FactKind.RETURN_ANNOUNCED, source="R1", now=MORNING)
        assert len(books.payouts.contradicted()) == 0
    for payout_id in (B, A, c):
        step(ledger, payout_id, *TO_THE_BANK, PayoutState.BOOKED, booked_on="2026-02-13")
    with ledger.books(posting=True) as books:
        found = books.payouts.contradicted()
        assert list(frames.rows(found, "payout_id", "amount", "booked_on")) == [(A, 100, NEXT), (B, 70, NEXT)]


def test_the_newest_certified_date_is_known_whichever_was_certified_last(ledger: Ledger) -> None:
    opened(ledger)
    opened(ledger, on=NEXT, run_id="run-2")
    with ledger.books(posting=True) as books:
        close = books.close
        assert (close.certified_until(), close.newest_certificate(), close.certificate(ON)) == (None, None, None)
        for number, on, revision in ((1, NEXT, 1), (2, ON, 1), (3, ON, 2)):
            close.keep_certificate(number, on=on, revision=revision, body=f"body {number}", now=MORNING)
        assert close.certified_until() == NEXT
        newest = close.newest_certificate()
        assert newest is not None and (newest.number, newest.settlement_date, newest.body) == (3, ON, "body 3")
        assert newest.sha256 == "fc6ac673edd9009439a62bd002b3a5085aa3d275efc2d15ebd61c354c88cbe06"
        assert close.certificate(ON) == newest
        assert [found.number for found in close.certificates()] == [1, 2, 3]
    for number, on, revision in ((3, NEXT, 2), (4, ON, 2), (4, date(2026, 2, 19), 1)):
        with pytest.raises(REFUSED), ledger.books(posting=True) as books:
            books.close.keep_certificate(number, on=on, revision=revision, body="another", now=MORNING)


# ------------------------------------------------------------------------------------------------------------- files


def kept_file(ledger: Ledger, day: DayRun, *, file_id: str = "SF1") -> None:
    with ledger.books(day=day, posting=True) as books:
        of_day = books.payouts.find(ON)
        books.files.keep(day, file_id, b"the bytes", of_day[of_day["file_id"].isna()], now=MORNING)


def test_a_file_is_kept_with_its_payouts_for_good(ledger: Ledger) -> None:
    day = prepared(ledger, A=100, B=70)
    kept_file(ledger, day)
    with ledger.books(read_only=True) as books:
        (file,) = books.files.find()
        assert (file.file_id, file.settlement_date, file.currency, file.payment_count, file.amount) == (
            "SF1", ON, "KRW", 2, 170
        )  # fmt: skip
        assert (file.created_at, file.sent_at, file.state) == (MORNING, None, FileState.PREPARED)
        assert (books.files.file("SF1"), books.files.file("SF2")) == (file, None)
        assert books.files.content("SF1") == b"the bytes"
        assert books.files.find(NEXT) == books.files.find(states=[FileState.RECEIVED]) == []
        assert books.files.find(ON, states=[FileState.PREPARED, FileState.UNKNOWN]) == [file]
        assert rows(books.payouts.in_file("SF1"), "payout_id") == [(A,), (B,)]
        in_file = books.payouts.in_file("SF1")["end_to_end_id"].tolist()
        assert in_file == sorted(in_file)
    with pytest.raises(REFUSED), ledger.books(day=day, posting=True) as books:
        books.files.keep(day, "SF2", b"others", books.payouts.find(ON), now=MORNING)
    with pytest.raises(REFUSED), ledger.books(day=day, posting=True) as books:
        books.files.keep(day, "SF1", b"others", books.payouts.find(ON), now=MORNING)
    with ledger.books(read_only=True) as books:
        assert [found.file_id for found in books.files.find()] == ["SF1"]


def test_a_file_keeps_when_it_was_sent_first_and_stays_rejected(ledger: Ledger) -> None:
    kept_file(ledger, prepared(ledger, A=100))
    for hours, state in enumerate(
        (FileState.SUBMITTED, FileState.UNKNOWN, FileState.SUBMITTED, FileState.REJECTED, FileState.RECEIVED)
    ):
        with ledger.books(posting=True) as books:
            books.files.mark("SF1", state, now=MORNING + hours * HOUR)
            books.files.mark("SF2", state, now=MORNING)
    with ledger.books(posting=True) as books:
        (file,) = books.files.find()
        assert (file.state, file.sent_at) == (FileState.REJECTED, MORNING)


def test_a_report_on_a_file_counts_once(ledger: Ledger) -> None:
    kept_file(ledger, prepared(ledger, A=100))
    with ledger.books(posting=True) as books:
        for message_id, is_duplicate in (("M1", False), ("M2", True), ("M1", True), ("M3", False)):
            books.files.note_report("SF1", message_id, is_duplicate=is_duplicate)
        (file,) = books.files.find()
        assert (file.rejections, file.duplicates) == (("M1", "M3"), ("M2",))


def test_a_file_leaves_only_while_its_payouts_wait_and_each_answer_is_kept_once(ledger: Ledger) -> None:
    kept_file(ledger, prepared(ledger, A=100))
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        books.files.open_transmission("SF1", run_id="run-1", now=MORNING)
    step(ledger, A, *TO_THE_BANK)
    answer = Submission(outcome=SubmissionOutcome.UNKNOWN, text="nothing came back")
    with ledger.books(posting=True) as books:
        assert books.files.open_transmission("SF1", run_id="run-1", now=MORNING) == 1
        assert books.files.open_transmission("SF1", run_id=None, now=MORNING + HOUR) == 2
        books.files.close_transmission("SF1", 1, answer, now=MORNING + HOUR)
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        books.files.close_transmission("SF1", 1, answer, now=MORNING)
    with ledger.books(read_only=True) as books:
        sent = books.files.transmissions("SF1")
        assert [(t.number, t.run_id, t.started_at, t.outcome, t.answered_at) for t in sent] == [
            (1, "run-1", MORNING, SubmissionOutcome.UNKNOWN, MORNING + HOUR),
            (2, None, MORNING + HOUR, None, None),
        ]  # fmt: skip
        assert books.files.transmissions("SF2") == []


# --------------------------------------------------------------------------------------------------------- approvals


def question(name: str, *, expires_at: datetime = MORNING + HOUR) -> Question:
    return Question(
        approval_id=name, payouts_sha256=f"sha of {name}", count=2, amounts={"KRW": 170}, expires_at=expires_at
    )


def test_another_question_supersedes_the_open_one_and_an_answer_is_given_once(ledger: Ledger) -> None:
    day, later = opened(ledger), MORNING + 2 * HOUR
    with ledger.books(day=day) as books:
        books.approvals.request(day, question("Q1"), now=MORNING)
        assert books.approvals.find("Q1") == question("Q1")
        assert books.approvals.find("Q9") is None
        books.approvals.request(day, question("Q2"), now=MORNING)
        assert books.approvals.find("Q1") == replace(question("Q1"), decision=Decision.SUPERSEDED)
        books.approvals.request(day, question("Q1", expires_at=later), now=later)
        assert books.approvals.find("Q1") == question("Q1", expires_at=later)
        books.approvals.decide("Q1", decision=Decision.APPROVED, by="checker", reason=None, now=MORNING)
        books.approvals.decide("Q1", decision=Decision.REJECTED, by="other", reason="no", now=MORNING)
        books.approvals.request(day, question("Q1"), now=MORNING)
        answered = books.approvals.find("Q1")
        assert answered == replace(question("Q1", expires_at=later), decision=Decision.APPROVED, decided_by="checker")
        found = books.approvals.find("Q2")
        assert found is not None and found.decision is Decision.SUPERSEDED


def test_an_objection_is_raised_once_and_answered_for_once(ledger: Ledger) -> None:
    day = opened(ledger)
    first, second = Objection(control="limit", said="too much"), Objection(control="breaks", said="one is open")
    with ledger.books(day=day) as books:
        books.approvals.object_to(day, [first, second], now=MORNING)
        books.approvals.object_to(day, [first], now=MORNING + HOUR)
        assert books.approvals.override(ON, said=["too much", "else"], by="checker", reason="seen", now=MORNING) == 1
        assert books.approvals.override(ON, said=["too much"], by="other", reason="me too", now=MORNING) == 0
        assert books.approvals.override(NEXT, said=["one is open"], by="other", reason="no", now=MORNING) == 0
        assert [
            (o.control, o.said, o.raised_at, o.run_id, o.overridden_by, o.reason, o.overridden_at)
            for o in books.approvals.objections(ON)
        ] == [
            ("breaks", "one is open", MORNING, "run-1", None, None, None),
            ("limit", "too much", MORNING, "run-1", "checker", "seen", MORNING),
        ]
        assert books.approvals.objections(NEXT) == []


# --------------------------------------------------------------------------------------------- messages and statements


def message(text: str) -> Message:
    return Message.of(text.encode(), kind="test", name=text)


def test_a_message_is_kept_once_and_closed_with_what_became_of_it(ledger: Ledger) -> None:
    second, first, out = message("second"), message("first"), message("out")
    with ledger.books() as books:
        lines = books.bank_lines
        assert lines.keep_message(second, direction="in", now=MORNING + HOUR) is True
        assert lines.keep_message(first, direction="in", now=MORNING) is True
        again = replace(first, written_at=MORNING + 3 * HOUR)
        assert lines.keep_message(again, direction="in", now=MORNING + 2 * HOUR) is False
        assert lines.keep_message(out, direction="out", now=MORNING) is True
        assert lines.new_messages(read_with="A") == [
            WaitingMessage(message=first, came_at=MORNING + 2 * HOUR),
            WaitingMessage(message=second, came_at=MORNING + HOUR),
        ]
        assert (lines.is_new(first.sha256, read_with="A"), lines.is_new(out.sha256, read_with="A")) == (True, False)
        refused = MessageState.REFUSED
        said: dict[str, Any] = {"refusal": "no", "statement_id": "S1", "difference": 7}
        lines.close_message(first.sha256, refused, read_with="A", now=MORNING + 2 * HOUR, **said)
        lines.close_message(second.sha256, MessageState.FOREIGN, read_with="A", now=MORNING)
        assert lines.new_messages(read_with="A") == []
        assert [
            (r.sha256, r.kind, r.name, r.recorded_at, r.refusal, r.statement_id, r.difference)
            for r in lines.refused_messages()
        ] == [(first.sha256, "test", "first", MORNING, "no", "S1", 7)]


def test_what_was_uploaded_waits_once_until_it_is_kept_as_a_message(ledger: Ledger) -> None:
    by_hand, from_bank = message("by hand"), message("from the bank")
    said = {"by": "maker", "reason": "it came by phone"}
    with ledger.books() as books:
        lines = books.bank_lines
        lines.keep_message(from_bank, direction="in", now=MORNING)
        assert lines.upload(by_hand, **said, now=MORNING) is True
        assert lines.upload(by_hand, **said, now=MORNING + HOUR) is False
        assert lines.upload(from_bank, **said, now=MORNING + HOUR) is False
        assert [(one.name, one.kind, one.content) for one in lines.uploaded()] == [("by hand", "file", b"by hand")]
        lines.keep_message(by_hand, direction="in", now=MORNING + HOUR)
        assert lines.uploaded() == []


@pytest.mark.parametrize(
    ("state", "refused"), [(MessageState.APPLIED, []), (MessageState.REFUSED, [("why", "S2", 5, MORNING + HOUR)])]
)
def test_a_foreign_message_is_read_again_once_our_account_is_called_otherwise(
    ledger: Ledger, state: MessageState, refused: list[tuple[str, str, int, datetime]]
) -> None:
    foreign = message("foreign")
    said: dict[str, Any] = {"refusal": "why", "statement_id": "S2", "difference": 5} if refused else {}
    with ledger.books() as books:
        lines = books.bank_lines
        lines.keep_message(foreign, direction="in", now=MORNING)
        lines.close_message(foreign.sha256, MessageState.FOREIGN, read_with="A", now=MORNING)
        assert (lines.new_messages(read_with="A"), lines.is_new(foreign.sha256, read_with="A")) == ([], False)
        waiting = [WaitingMessage(message=foreign, came_at=MORNING, first_read_at=MORNING)]
        assert (lines.new_messages(read_with="A B"), lines.is_new(foreign.sha256, read_with="A B")) == (waiting, True)
        lines.close_message(foreign.sha256, MessageState.FOREIGN, read_with="A B", now=MORNING + HOUR)
        assert lines.new_messages(read_with="A B") == []
        lines.close_message(foreign.sha256, state, read_with="A C", now=MORNING + HOUR, **said)
        assert lines.is_new(foreign.sha256, read_with="A") is (state is MessageState.REFUSED)
        found = [(r.refusal, r.statement_id, r.difference, r.recorded_at) for r in lines.refused_messages()]
        assert found == refused


def test_a_refused_message_is_read_again_with_another_reader_or_when_it_comes_again(ledger: Ledger) -> None:
    unread = message("unread")
    with ledger.books() as books:
        lines = books.bank_lines

        def closed(reader: str, state: MessageState, at: datetime, refusal: str | None = None) -> list[tuple[Any, ...]]:
            lines.close_message(unread.sha256, state, read_with=reader, now=at, refusal=refusal)
            return [(r.refusal, r.recorded_at) for r in lines.refused_messages()]

        def waits(reader: str) -> bool:
            return lines.is_new(unread.sha256, read_with=reader)

        lines.keep_message(replace(unread, written_at=MORNING - HOUR), direction="in", now=MORNING)
        (waiting,) = lines.new_messages(read_with="1")
        assert (waiting.came_at, waiting.first_read_at) == (MORNING - HOUR, None)
        assert closed("1", MessageState.REFUSED, MORNING, "what is it") == [("what is it", MORNING)]
        assert (waits("1"), waits("2")) == (False, True)
        assert closed("2", MessageState.REFUSED, MORNING + HOUR, "what is it") == [("what is it", MORNING)]
        assert closed("3", MessageState.REFUSED, MORNING + 2 * HOUR, "not XML") == [("not XML", MORNING)]
        assert (waits("3"), waits("4")) == (False, True)
        lines.keep_message(replace(unread, written_at=MORNING - HOUR), direction="in", now=MORNING + 3 * HOUR)
        assert waits("3") is False
        lines.keep_message(replace(unread, written_at=MORNING + 3 * HOUR), direction="in", now=MORNING + 3 * HOUR)
        (waiting,) = lines.new_messages(read_with="3")
        assert (waiting.came_at, waiting.first_read_at) == (MORNING + 3 * HOUR, MORNING)
        assert closed("3", MessageState.APPLIED, MORNING + 3 * HOUR) == []
        assert (waits("3"), waits("4"), lines.new_messages(read_with="4")) == (False, False, [])


def test_what_brought_a_part_of_a_day_is_read_again_when_it_comes_again_until_the_day_is_over(ledger: Ledger) -> None:
    part = statement("S1", 1000, 50, is_last=False)
    with ledger.books(posting=True) as books:
        lines, sha256 = books.bank_lines, message("S1").sha256
        keep(books, part)
        lines.close_message(sha256, MessageState.APPLIED, read_with="A", now=MORNING)
        assert lines.is_new(sha256, read_with="B") is False
        later = replace(message("S1"), written_at=MORNING + HOUR)
        assert lines.keep_message(later, direction="in", now=MORNING + HOUR) is False
        assert lines.is_new(sha256, read_with="A") is True
        keep(books, statement("S2", 1050, 7))
        assert lines.is_new(sha256, read_with="A") is False


def naming(payout_id: str, amount: int, *, on: date = ON, **said: Any) -> Movement:
    """Return a movement of so many won that carries a payout's id."""
    named = end_to_end_id(payout_id, settlement_date=ON, revision=1)
    return Movement(booking_date=on, value_date=None, amount=amount, end_to_end_id=named, **said)


def statement(
    name: str, opening: int, *said: int | Movement, on: date = ON, sequence: int | None = None, **more: Any
) -> Statement:
    """Return a statement of our account with these movements; one of an amount has that as its id."""
    movements = [
        Movement(booking_date=on, value_date=None, amount=one, end_to_end_id=f"E{one}") if isinstance(one, int) else one
        for one in said
    ]
    return statements.prove(
        statement_id=name,
        sequence=sequence,
        account="acc-ours",
        currency="KRW",
        business_date=on,
        from_date=None,
        to_date=None,
        opening=opening,
        closing=opening + sum(movement.amount for movement in movements),
        movements=movements,
        **more,
    )


def keep(books: Books, said: Statement, *, now: datetime = MORNING) -> None:
    bytes_of_it = message(said.statement_id)
    books.bank_lines.keep_message(bytes_of_it, direction="in", now=now)
    books.bank_lines.keep_statement(said, bytes_of_it.sha256, now=now)
    books.bank_lines.follow_opening(said.account, said.currency, now=now)


def test_a_statement_is_known_by_what_it_says_and_contradicted_by_its_name(ledger: Ledger) -> None:
    first = statement("S1", 1000, 50)
    with ledger.books(posting=True) as books:
        lines = books.bank_lines
        assert (lines.has_statement(first), lines.contradicts(first), lines.newest_statement("acc-ours")) == (
            False, False, None
        )  # fmt: skip
        keep(books, first)
        assert (lines.has_statement(first), lines.contradicts(first)) == (True, False)
        assert lines.has_statement(statement("S9", 1000, 50)) is True
        assert lines.contradicts(statement("S1", 1000, 51)) is True
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        books.bank_lines.keep_statement(statement("S9", 1000, 50), message("S1").sha256, now=MORNING)


def test_a_name_that_is_used_again_is_of_another_statement_whose_lines_are_its_own(ledger: Ledger) -> None:
    later = date(2027, 2, 12)
    with ledger.books(posting=True) as books:
        keep(books, statement("S1", 1000, 50, -50, page=1, is_last=False))
        keep(books, second := statement("S1", 1000, 50, -50, page=2))
        lines = books.bank_lines
        assert lines.has_statement(statement("S1", 1000, 50, -50)) is True
        assert lines.has_statement(statement("S1", 1000, 50, -50, page=3)) is False
        next_year = statement("S1", 1000, 7, on=later)
        assert (lines.has_statement(next_year), lines.contradicts(next_year)) == (False, False)
        lines.keep_statement(next_year, message("S1").sha256, now=MORNING)
        assert [(s.statement_id, s.bank_name, s.page, s.is_last) for s in lines.statements("acc-ours")] == [
            ("S1", "S1", 1, False),
            (f"S1/2026-02-12/2/{second.content_key[:8]}", "S1", 2, True),
            (f"S1/2027-02-12/{next_year.content_key[:8]}", "S1", None, True),
        ]
        assert sorted(lines.lines([LineState.OPEN])["amount"].tolist()) == [-50, -50, 7, 50, 50]
        assert lines.contradicts(statement("S1", 1000, 8, on=later)) is True
        assert lines.contradicts(statement("S1", 1000, 8, on=later, page=1)) is False


def test_the_lines_of_statements_are_as_they_were_told(ledger: Ledger) -> None:
    told = Movement(booking_date=ON, value_date=NEXT, amount=50, bank_reference="B-1", remittance="rent")
    with ledger.books(posting=True) as books:
        first, second = statement("S1", 1000, told, page=1), statement("S2", 1050, 20, 30)
        keep(books, first)
        keep(books, second)
        lines = books.bank_lines
        assert lines.lines_on(["S1"]) == list(first.lines)
        assert lines.lines_on(["S2", "S1", "S9"]) == sorted(
            [*first.lines, *second.lines], key=lambda line: line.line_id
        )


def test_statements_come_in_the_order_of_their_days_and_balances_and_the_oldest_opens_the_account(
    ledger: Ledger,
) -> None:
    with ledger.books(posting=True) as books:
        keep(books, statement("S2", 1050, -20, on=NEXT))
        assert books.journal.balance("opening_balance", "KRW") == -1050
        keep(books, statement("S1b", 1030, 20, sequence=2))
        keep(books, statement("S1a", 1000, 30, sequence=1))
        found = books.bank_lines.statements("acc-ours")
        assert [(s.statement_id, s.sequence, s.opening, s.closing, s.line_count, s.applied_at) for s in found] == [
            ("S1a", 1, 1000, 1030, 1, MORNING), ("S1b", 2, 1030, 1050, 1, MORNING), ("S2", None, 1050, 1030, 1, MORNING)
        ]  # fmt: skip
        assert books.bank_lines.newest_statement("acc-ours") == found[-1]
        assert books.bank_lines.statements("acc-other") == []
        assert books.journal.balances("") == {("client_bank", "KRW"): 1000, ("opening_balance", "KRW"): -1000}


def lines_of(books: Books, state: LineState = LineState.OPEN) -> list[OpenLine]:
    return matching.lines_in(books.bank_lines.lines([state]))


def keep_matches(books: Books, *found: Match) -> None:
    books.bank_lines.keep_matches(matching.columns_of(found), now=MORNING, by="maker")


def subject(kind: SubjectKind, name: str, amount: int) -> Subject:
    return Subject(kind=kind, subject_id=name, amount=amount, currency="KRW", reference=name)


def test_lines_are_suspended_and_matched_and_each_is_booked(ledger: Ledger) -> None:
    with ledger.books(posting=True) as books:
        lines = books.bank_lines
        keep(books, statement("S1", 1000, -100, -7, 40, 3))
        opened = lines.lines([LineState.OPEN])
        open_lines = {line.amount: line for line in matching.lines_in(opened)}
        assert sorted(open_lines) == [-100, -7, 3, 40]
        assert opened["line_id"].tolist() == sorted(line.line_id for line in open_lines.values())
        lines.suspend(opened[opened["amount"].isin([40, 3])], now=MORNING)
        suspended = {line.amount: line for line in matching.lines_in(lines.lines([LineState.SUSPENDED]))}
        assert suspended == {amount: replace(open_lines[amount], is_suspended=True) for amount in (40, 3)}
        paid = Match((open_lines[-100],), (subject(SubjectKind.PAYOUT, "P1", -100),), "amount_and_date", "no more")
        charged = Match((open_lines[-7],), (subject(SubjectKind.ACCOUNT, "bank_charges", -7),), "by_hand", "a fee")
        received = Match((suspended[40],), (subject(SubjectKind.RECEIPT, "R1", 42),), "tolerance", "2 less")
        gone = Match((suspended[3],), (subject(SubjectKind.ACCOUNT, "difference", 3),), "written_off", "small")
        keep_matches(books, paid, charged, received, gone)
        assert len(lines.lines([LineState.OPEN, LineState.SUSPENDED])) == 0
        assert len(lines.lines([LineState.MATCHED])) == 4
        assert lines.matched_subjects(["payout", "receipt"], ["P1", "R1", "R2"]) == {
            ("payout", "P1", 1),
            ("receipt", "R1", 1),
        }
        assert (lines.receipts_shown_before(NEXT), lines.receipts_shown_before(ON)) == (["R1"], [])
        (totals,) = lines.match_totals(ON)
        assert (totals.line_count, totals.matched_count, totals.line_amount, totals.matched_amount) == (4, 4, 150, 150)
        assert totals.by_amount_count == 1
        assert lines.match_totals(NEXT) == []
        assert books.journal.balances("") == {
            ("client_bank", "KRW"): 936,
            ("opening_balance", "KRW"): -1000,
            ("payouts_in_transit", "KRW"): 100,
            ("bank_charges", "KRW"): 7,
            ("receipts_in_transit", "KRW"): -42,
            ("difference", "KRW"): -1,
        }


def test_neither_a_line_nor_one_leaving_of_a_payout_is_in_a_second_match(ledger: Ledger) -> None:
    with ledger.books(posting=True) as books:
        keep(books, statement("S1", 1000, -100, -100))
        first, second = lines_of(books)
        paid = subject(SubjectKind.PAYOUT, "P1", -100)
        once = Match((second,), (paid,), "by_reference", "its id")
        keep_matches(books, once)
    both = (subject(SubjectKind.PAYOUT, "P2", -100), subject(SubjectKind.PAYOUT, "P3", -100))
    for wrong in (Match((first,), (paid,), "by_hand", "again"), Match((first, second), both, "by_hand", "again")):
        with pytest.raises(REFUSED), ledger.books(posting=True) as books:
            keep_matches(books, wrong)
    with ledger.books(posting=True) as books:
        again = replace(paid, occurrence=2)
        keep_matches(books, Match((first,), (again,), "by_reference", "its id"))
        kinds = ["payout", "payout_return"]
        assert books.bank_lines.matched_subjects(kinds, ["P1"]) == {("payout", "P1", 1), ("payout", "P1", 2)}


# ------------------------------------------------------------------------------------------------------------ breaks


OVERDRAWN = Finding(cause="investor_overdrawn", subject_kind="investor", subject_id="A", currency="KRW", amount=12)
UNKNOWN_LINE = Finding(
    cause="unknown_at_bank", subject_kind="line", subject_id="L1", currency="KRW", amount=40, evidence={"on": ON}
)
CAUSES = ("investor_overdrawn", "unknown_at_bank")


def sync(books: Books, *found: Finding, on: date = ON, causes: Sequence[str] = CAUSES) -> Mapping[str, int]:
    return books.breaks.sync(found, causes=causes, on=on, calendar=CALENDAR, now=MORNING)


def test_a_break_is_opened_once_grows_older_and_is_resolved_when_it_is_found_no_longer(ledger: Ledger) -> None:
    with ledger.books(posting=True) as books:
        assert sync(books, UNKNOWN_LINE, OVERDRAWN) == {"opened": 2, "resolved": 0, "open": 2}
        overdrawn, line = books.breaks.open()
        assert (overdrawn.break_id, overdrawn.cause, overdrawn.side, overdrawn.opened_on, overdrawn.amount) == (
            1, "investor_overdrawn", "ours", ON, 12
        )  # fmt: skip
        assert (line.break_id, line.side, line.evidence, line.state) == (
            2,
            "bank",
            {"on": "2026-02-12"},
            BreakState.OPEN,
        )
        monday = date(2026, 2, 23)
        grown = replace(OVERDRAWN, amount=15)
        assert sync(books, grown, on=monday) == {"opened": 0, "resolved": 1, "open": 1}
        (left,) = books.breaks.open()
        assert (left.amount, left.age_business_days) == (15, 4)
        assert sync(books, on=ON, causes=["unknown_at_bank"]) == {"opened": 0, "resolved": 0, "open": 0}
        assert sync(books, on=NEXT) == {"opened": 0, "resolved": 1, "open": 0}
        assert books.breaks.open() == []
        assert [(e.at, e.by, e.what) for e in books.breaks.history(1)] == [
            (MORNING, "settlement", "opened"),
            (MORNING, "settlement", "resolved: later credits made the balance good"),
        ]
        assert [e.what for e in books.breaks.history(2)] == ["opened", "resolved: no longer found"]
        assert books.breaks.history(3) == []


def test_a_break_of_a_line_is_resolved_with_the_match_that_explains_it(ledger: Ledger) -> None:
    with ledger.books(posting=True) as books:
        keep(books, statement("S1", 1000, 40))
        (line,) = lines_of(books)
        sync(books, replace(UNKNOWN_LINE, subject_id=line.line_id))
        found = Match((line,), (subject(SubjectKind.RECEIPT, "R1", 40),), "by_reference", "it names R1")
        keep_matches(books, found)
        sync(books)
        assert [e.what for e in books.breaks.history(1)] == [
            "opened", "resolved: matched with [receipt R1] by by_reference: it names R1"
        ]  # fmt: skip


def test_what_people_say_of_a_break_stays_with_it(ledger: Ledger) -> None:
    with ledger.books(posting=True) as books:
        sync(books, UNKNOWN_LINE)
        books.breaks.note(1, by="maker", what="comment: who is it", now=MORNING, comment="who is it")
        assert books.breaks.open()[0].state is BreakState.OPEN
        books.breaks.note(1, by="maker", what="assigned to ann", now=MORNING, owner="ann", due_on=NEXT)
        books.breaks.note(1, by="ann", what="comment: asked", now=MORNING + HOUR, comment="asked")
        (found,) = books.breaks.open()
        assert (found.owner, found.due_on, found.comment, found.state) == ("ann", NEXT, "asked", BreakState.ASSIGNED)
        books.breaks.close(
            1, state=BreakState.WRITTEN_OFF, how="too small", by="ann", on=date(2026, 2, 11), now=MORNING
        )
        assert books.breaks.open() == []
        assert [(e.by, e.what) for e in books.breaks.history(1)] == [
            ("settlement", "opened"),
            ("maker", "comment: who is it"),
            ("maker", "assigned to ann"),
            ("ann", "comment: asked"),
            ("ann", "written off: too small"),
        ]
        assert sync(books, UNKNOWN_LINE) == {"opened": 1, "resolved": 0, "open": 1}


def asked(*, needs_second: bool, break_id: int = 1, kind: Way = Way.WRITE_OFF, amount: int = 40) -> BreakDecision:
    return BreakDecision(
        break_id=break_id,
        kind=kind,
        target="difference",
        amount=amount,
        currency="KRW",
        reason="too small",
        requested_by="maker",
        needs_second=needs_second,
    )


def test_a_decision_about_a_break_waits_for_a_second_person_who_is_another(ledger: Ledger) -> None:
    with ledger.books(posting=True) as books:
        sync(books, UNKNOWN_LINE)
        books.breaks.ask(asked(needs_second=False), now=MORNING)
        assert books.breaks.waiting(1) is None
        books.breaks.ask(asked(needs_second=True), now=MORNING)
        assert books.breaks.waiting(1) == asked(needs_second=True)
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        books.breaks.ask(asked(needs_second=True), now=MORNING)
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        books.breaks.decide(1, by="maker", now=MORNING)
    with ledger.books(posting=True) as books:
        books.breaks.decide(1, by="checker", now=MORNING)
        assert books.breaks.waiting(1) is None


def test_a_question_that_is_withdrawn_waits_no_longer_and_another_may_be_asked(ledger: Ledger) -> None:
    with ledger.books(posting=True) as books:
        sync(books, UNKNOWN_LINE)
        books.breaks.withdraw(1, now=MORNING)
        books.breaks.ask(asked(needs_second=True), now=MORNING)
        books.breaks.withdraw(1, now=MORNING)
        assert books.breaks.waiting(1) is None
        books.breaks.decide(1, by="checker", now=MORNING)
        books.breaks.ask(asked(needs_second=True, kind=Way.ANSWER, amount=41), now=MORNING)
        books.breaks.withdraw(2, now=MORNING)
        assert books.breaks.waiting(1) == asked(needs_second=True, kind=Way.ANSWER, amount=41)
        assert books.breaks.answered() == set()
        books.breaks.decide(1, by="checker", now=MORNING)
        books.breaks.withdraw(1, now=MORNING)
        assert books.breaks.answered() == {("unknown_at_bank", "line", "L1", 40)}


def test_what_somebody_answered_for_is_not_opened_again_as_long_as_its_amount_stands(ledger: Ledger) -> None:
    chain = Finding(cause="statement_chain", subject_kind="statement", subject_id="S1")
    causes = (*CAUSES, "statement_chain")
    with ledger.books(posting=True) as books:
        assert sync(books, chain, OVERDRAWN, UNKNOWN_LINE, causes=causes)["opened"] == 3
        by_cause = {found.cause: found.break_id for found in books.breaks.open()}
        for cause, kind in (
            ("statement_chain", Way.ANSWER), ("investor_overdrawn", Way.ANSWER), ("unknown_at_bank", Way.WRITE_OFF)
        ):  # fmt: skip
            books.breaks.ask(asked(needs_second=False, break_id=by_cause[cause], kind=kind), now=MORNING)
            books.breaks.close(
                by_cause[cause], state=BreakState.RESOLVED, how="seen", by="maker", on=ON, now=MORNING
            )  # fmt: skip
        assert books.breaks.answered() == {
            ("statement_chain", "statement", "S1", None), ("investor_overdrawn", "investor", "A", 12)
        }  # fmt: skip
        assert sync(books, chain, OVERDRAWN, UNKNOWN_LINE, causes=causes) == {"opened": 1, "resolved": 0, "open": 1}
        assert [found.cause for found in books.breaks.open()] == ["unknown_at_bank"]
        grown = replace(OVERDRAWN, amount=15)
        assert sync(books, chain, grown, UNKNOWN_LINE, causes=causes) == {"opened": 1, "resolved": 0, "open": 2}
        assert sync(books, chain, OVERDRAWN, causes=causes) == {"opened": 0, "resolved": 2, "open": 0}


def test_the_books_show_overdrawn_investors_and_payouts_that_came_back_after_the_close(ledger: Ledger) -> None:
    prepared(ledger, A=100)
    step(ledger, A, *TO_THE_BANK, PayoutState.BOOKED, booked_on="2026-02-13")
    with ledger.books(posting=True) as books:
        assert books.breaks.found() == []
        books.days.set_state(ON, DayState.CLOSED, now=MORNING)
        give(books, {"B": -12}, now=MORNING)
    step(ledger, A, PayoutState.RETURNED, at=MORNING + HOUR, bank_reason="AC04")
    with ledger.books(read_only=True) as books:
        found = books.breaks.found()
        assert [(f.cause, f.subject_kind, f.subject_id, f.currency, f.amount, f.evidence) for f in found] == [
            ("investor_overdrawn", "investor", "B", "KRW", 12, {}),
            ("late_return", "payout", A, "KRW", 100, {"reason": "AC04", "returned_at": MORNING + HOUR}),
        ]
    step(ledger, A, PayoutState.BOOKED, at=MORNING + 2 * HOUR, booked_on="2026-02-13")
    with ledger.books(read_only=True) as books:
        assert [f.cause for f in books.breaks.found()] == ["investor_overdrawn"]


# ------------------------------------------------------------------------------------------------- days and backfills


def test_a_run_takes_a_day_on_and_another_displaces_it(ledger: Ledger) -> None:
    first = opened(ledger, triggered_by="maker", reason="late file")
    assert first == DayRun(settlement_date=ON, revision=1, run_id="run-1")
    with ledger.books(day=first) as books:
        run = books.days.run("run-1")
        assert run is not None
        assert (run.settlement_date, run.revision, run.run_type, run.backfill_id) == (ON, 1, "manual", None)
        assert (run.triggered_by, run.reason, run.started_at, run.ended_at, run.outcome) == (
            "maker", "late file", MORNING, None, None
        )  # fmt: skip
        books.days.end_run(first, outcome="settled", now=MORNING + HOUR)
        run = books.days.run("run-1")
        assert run is not None and (run.ended_at, run.outcome) == (MORNING + HOUR, "settled")
    opened(ledger, run_id="run-2")
    with pytest.raises(Displaced), ledger.books(day=first):
        pass
    with pytest.raises(Displaced), ledger.books(day=replace(first, settlement_date=NEXT)):
        pass
    with ledger.books(day=first, read_only=True) as books:
        found = books.days.find(ON)
        assert found is not None and (found.run_id, found.opened_at) == ("run-2", MORNING)
        assert books.days.find(NEXT) is None
        assert books.days.run("run-3") is None


def test_a_dry_run_opens_nothing(ledger: Ledger) -> None:
    day = opened(ledger, dry_run=True, run_type="backfill", clear_number=2, kept_conf="{}")
    assert day == DayRun(
        settlement_date=ON,
        revision=1,
        run_id="run-1",
        run_type="backfill",
        dry_run=True,
        transfer=False,
        clear_number=2,
        kept_conf="{}",
    )
    with ledger.books(day=day, read_only=True) as books:
        assert (books.days.find(ON), books.days.run("run-1"), books.days.newest()) == (None, None, None)


def test_a_day_keeps_when_it_was_settled_and_closed_first_and_goes_on_after_a_failure(ledger: Ledger) -> None:
    opened(ledger)
    opened(ledger, on=NEXT, run_id="run-2")
    with ledger.books() as books:
        books.days.set_state(ON, DayState.FAILED, now=MORNING, failure="transfer: it broke")
        failed = books.days.find(ON)
        assert failed is not None and (failed.state, failed.failure) == (DayState.FAILED, "transfer: it broke")
    opened(ledger, run_id="run-3")
    with ledger.books() as books:
        again = books.days.find(ON)
        assert again is not None and (again.state, again.failure, again.run_id) == (DayState.OPEN, None, "run-3")
        books.days.set_state(ON, DayState.SETTLED_WITH_BREAKS, now=MORNING)
        assert (books.days.newest(), books.days.settled(), books.days.unclosed()) == (NEXT, [], [ON])
        assert (books.days.begun_before(NEXT), books.days.begun_before(ON)) == ([ON], [])
        books.days.set_state(ON, DayState.CLOSED, now=MORNING + HOUR)
        books.days.set_state(ON, DayState.CLOSED, now=MORNING + 2 * HOUR)
        closed = books.days.find(ON)
        assert closed is not None and (closed.settled_at, closed.closed_at) == (MORNING, MORNING + HOUR)
        assert (books.days.unclosed(), books.days.totals(ON)) == ([], [])


def test_a_date_keeps_the_window_that_it_had_first(ledger: Ledger) -> None:
    opened(ledger)
    first, later = (Window(MORNING - hours * HOUR, MORNING) for hours in (2, 1))
    with ledger.books() as books:
        assert books.days.windows() == {}
        books.days.keep_window(ON, first)
        books.days.keep_window(ON, later)
        assert books.days.windows() == {ON: first}


def test_the_newest_result_of_a_control_stands(ledger: Ledger) -> None:
    opened(ledger)
    with ledger.books() as books:
        books.days.note_controls(ON, ["sums", "balances"], is_held=True, now=MORNING)
        books.days.note_controls(ON, ["sums"], is_held=False, now=MORNING)
        assert books.days.controls_of(ON) == {"balances": True, "sums": False}
        assert books.days.controls_of(NEXT) == {}


def test_runs_join_the_backfill_under_way_and_its_end_says_what_it_came_to(ledger: Ledger) -> None:
    assert opened(ledger, run_type="backfill").backfill_id == "1"
    second = opened(ledger, on=NEXT, run_id="run-2", run_type="backfill")
    assert second.backfill_id == "1"
    with ledger.books(posting=True) as books:
        day = DayRun(settlement_date=ON, revision=1, run_id="run-1", backfill_id="1")
        give(books, {"A": 100}, now=MORNING)
        books.payouts.prepare(day, new_payouts(("A", 100)), NO_HOLDS, booked_on=day.settlement_date, now=MORNING)
        books.days.end_run(day, outcome="settled", now=MORNING)
    step(ledger, A, *TO_THE_BANK)
    with ledger.books() as books:
        assert books.backfills.silent(since=MORNING) == []
        assert books.backfills.silent(since=MORNING + HOUR) == ["1"]
        books.days.end_run(second, outcome="failed: it broke", now=MORNING + HOUR)
        assert books.backfills.silent(since=MORNING + HOUR) == []
        came_to = books.backfills.end("1", now=MORNING + HOUR)
        assert came_to == BackfillEnd(ok=1, changed=0, failed=1, paid={"KRW": 100})
        assert books.backfills.silent(since=MORNING + 2 * HOUR) == []
        assert books.backfills.join(now=MORNING) == "2"


def test_an_entry_that_does_not_balance_is_refused(ledger: Ledger) -> None:
    legs = (("client_bank", 5), ("opening_balance", -4))
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        books.journal.post(JournalEntry(entry=Entry("opening", legs), currency="KRW"), settlement_date=ON, now=MORNING)
    with ledger.books(read_only=True) as books:
        assert books.journal.balances("") == {}


def test_what_a_transaction_did_is_kept_whole_or_not_at_all(ledger: Ledger) -> None:
    opened(ledger)

    def die_in_the_middle() -> None:
        with ledger.books() as books:
            books.days.note_controls(ON, ["sums"], is_held=True, now=MORNING)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die_in_the_middle()
    with pytest.raises(REFUSED), ledger.books(read_only=True) as books:
        books.days.note_controls(ON, ["sums"], is_held=True, now=MORNING)
    with ledger.books() as books:
        assert books.days.controls_of(ON) == {}


# ------------------------------------------------------------------------------------------------------------ outbox


UNKNOWN = PayoutsUnknown(settlement_date=ON, count=1, amounts=(Money(amount=100, currency="KRW"),))
OVER = Resolved(settlement_date=ON, problem="unknown", problem_event=PayoutsUnknown.name)


def told(side: Side) -> list[tuple[str, str, str, str]]:
    """Return the alerts as (event, channel, key, state), oldest first."""
    listed = reversed(side.alerts.listing())
    return [(alert.event, alert.channel, alert.dedupe_key, alert.state) for alert in listed]


def test_an_event_is_told_once_in_every_channel_that_wants_it(side: Side) -> None:
    with side.ledger.books() as books:
        assert books.outbox.record(UNKNOWN, now=MORNING) is True
        assert books.outbox.record(replace(UNKNOWN, count=2), now=MORNING) is False
        assert books.outbox.record(OVER, now=MORNING + HOUR) is True
        assert books.outbox.record(OVER, now=MORNING + HOUR) is False
        assert books.outbox.record(UNKNOWN, now=MORNING + HOUR) is True
    assert told(side) == [
        ("payouts.unknown", "C0ALL", "2026-02-12:unknown", "pending"),
        ("payouts.unknown", "C0LOUD", "2026-02-12:unknown", "pending"),
        ("resolved", "C0ALL", "2026-02-12:resolved:unknown", "pending"),
        ("resolved", "C0LOUD", "2026-02-12:resolved:unknown", "pending"),
        ("payouts.unknown", "C0ALL", "2026-02-12:unknown#2", "pending"),
        ("payouts.unknown", "C0LOUD", "2026-02-12:unknown#2", "pending"),
    ]
    assert side.alerts.listing(settlement_date=NEXT) == []
    assert len(side.alerts.listing(settlement_date=ON, limit=1)) == 1


def test_a_standing_message_is_edited_and_the_same_again_is_no_news(side: Side) -> None:
    needed = ApprovalNeeded(settlement_date=ON, batch="Q1", count=2, amounts=(), expires_at=MORNING)
    done = ApprovalDone(settlement_date=ON, batch="Q1", approved=True, by="checker", at=MORNING)
    with side.ledger.books() as books:
        recorded = [books.outbox.record(event, now=MORNING) for event in (needed, needed, done, done)]
    assert recorded == [True, False, True, False]
    assert told(side) == [("approval.done", "C0ALL", "2026-02-12:approval:Q1", "pending")]


def test_a_day_is_one_message_which_a_channel_of_critical_events_shows_above_them(side: Side) -> None:
    started = DayStarted(settlement_date=ON, run_id="run-1", repayment_count=1)
    progress = DayProgress(settlement_date=ON, step=Step.TRANSFER, state=StepState.DONE, at=MORNING)
    with side.ledger.books() as books:
        assert books.outbox.record(started, now=MORNING) is True
        assert books.outbox.record(UNKNOWN, now=MORNING) is True
        assert books.outbox.record(progress, now=MORNING) is True
        assert books.outbox.record(progress, now=MORNING) is False
    assert told(side) == [
        ("day.progress", "C0ALL", "2026-02-12:summary", "pending"),
        ("payouts.unknown", "C0ALL", "2026-02-12:unknown", "pending"),
        ("day.progress", "C0LOUD", "2026-02-12:summary", "pending"),
        ("payouts.unknown", "C0LOUD", "2026-02-12:unknown", "pending"),
    ]


def test_a_completed_day_ends_what_was_told_of_its_failures(side: Side) -> None:
    failed = TaskFailed(settlement_date=ON, run_id="run-1", task="transfer.submit", try_number=2, code="Refused")
    completed = DayCompleted(settlement_date=ON, state="settled")
    with side.ledger.books() as books:
        assert books.outbox.record(failed, now=MORNING) is True
        assert books.outbox.record(completed, now=MORNING + HOUR) is True
    assert [event for event, channel, _, _ in told(side) if channel == "C0LOUD"] == [
        "day.completed", "task.failed", "resolved"
    ]  # fmt: skip


def test_exact_news_of_a_failure_take_the_place_of_inexact_ones_and_mute_them(side: Side) -> None:
    of_run = TaskFailed(settlement_date=ON, run_id="run-1", task="", try_number=0, code="timed_out")
    of_task = replace(of_run, task="transfer.submit", try_number=1)
    with side.ledger.books() as books:
        recorded = [books.outbox.record(event, now=MORNING) for event in (of_run, of_task, of_task, of_run)]
    assert recorded == [True, True, False, False]
    assert [(key, state) for event, channel, key, state in told(side) if channel == "C0LOUD"] == [
        ("2026-02-12:failed:run-1::-1:0", "pending"),
        ("2026-02-12:failed:run-1:transfer.submit:-1:1", "suppressed"),
    ]


def test_a_backfill_has_a_thread_of_its_own_and_a_date_that_had_one_shows_it_too(side: Side) -> None:
    started = DayStarted(settlement_date=ON, run_id="run-1", repayment_count=1)
    with side.ledger.books() as books:
        assert books.outbox.record(started, now=MORNING) is True
        assert books.outbox.record(replace(started, backfill_id="1", run_id="run-2"), now=MORNING) is True
        assert books.outbox.record(replace(UNKNOWN, backfill_id="1"), now=MORNING) is True
        assert books.outbox.record(OVER, now=MORNING) is True
    assert [row for row in told(side) if row[1] == "C0ALL"] == [
        ("day.started", "C0ALL", "2026-02-12:summary", "pending"),
        ("day.started", "C0ALL", "backfill:1", "pending"),
        ("payouts.unknown", "C0ALL", "2026-02-12:unknown", "pending"),
        ("resolved", "C0ALL", "2026-02-12:resolved:unknown", "pending"),
    ]


def test_a_file_goes_once_into_the_thread_of_a_day_that_a_channel_shows(side: Side) -> None:
    with side.ledger.books() as books:
        attach = partial(
            books.outbox.attach, settlement_date=ON, name="r.xlsx", title="Report", content=b"x", now=MORNING
        )
        assert attach(key="report:1") is False
        books.outbox.record(DayCompleted(settlement_date=ON, state="settled"), now=MORNING)
        assert (attach(key="report:1"), attach(key="report:1"), attach(key="report:2")) == (True, False, True)
    assert told(side) == [
        ("day.completed", "C0ALL", "2026-02-12:summary", "pending"),
        ("day.completed", "C0ALL", "2026-02-12:report:1", "pending"),
        ("day.completed", "C0ALL", "2026-02-12:report:2", "pending"),
    ]


# ------------------------------------------------------------------------------------------------------- refunds


def ordered(ledger: Ledger, *parts: tuple[str, int]) -> None:
    """Let a run have taken refund F1 of these parts of the credits of loan L1."""
    total = sum(amount for _, amount in parts)
    taken = TakenRefund(refund_id="F1", settlement_date=ON, loan_id="L1", currency="KRW", amount=total)
    with ledger.books(posting=True) as books:
        for repayment_id, amount in parts:
            order(books, "F1", amount, loan_id="L1", repayment_id=repayment_id, now=MORNING)
        if isinstance(books, MemoryBooks):
            books.refunds.keep(taken)
            return
        transaction_of(books.refunds).execute(
            sa.text("insert into ledger.refunds values ('F1', :on, 1, 'L1', 'KRW', :amount)"),
            {"on": ON, "amount": total},
        )


def undo(books: Books, *parts: tuple[str, int]) -> None:
    taken = books.refunds.find("F1")
    assert taken is not None
    given = [RefundPart(repayment_id=repayment_id, amount=amount) for repayment_id, amount in parts]
    books.refunds.undo(taken, given, after=ON, settlement_date=ON, reason="closed", by="kim", now=MORNING)


def test_a_refund_is_owed_to_its_borrower_and_prepared_beside_an_investor_of_its_id(ledger: Ledger) -> None:
    day = opened(ledger)
    ordered(ledger, ("R1", 40), ("R2", 60))
    with ledger.books(day=day, posting=True) as books:
        give(books, {"F1": 7}, now=MORNING)
        assert rows(books.payouts.payables(), "payee_kind", "payee_id", "amount", "attempt") == [
            ("borrower", "F1", 100, 1), ("investor", "F1", 7, 1)
        ]  # fmt: skip
        payout = new_payouts(("F1", 100)).assign(payee_kind="borrower", payout_id="refund.1", end_to_end_id="E1")
        held = frames.build(frames.HOLDS, [("investor", "F1", "KRW", 7, "frozen")])
        books.payouts.prepare(day, payout, held, booked_on=ON, now=MORNING)
    with ledger.books(day=day, posting=True) as books:
        assert rows(books.payouts.holds(), *frames.HOLDS.column_names) == [("investor", "F1", "KRW", 7, "frozen")]
        assert books.journal.balances("borrower_payable:") == {}
        books.payouts.step(["refund.1"], PayoutState.REJECTED, cause="test", now=MORNING)
        back = books.payouts.find(states=(PayoutState.REJECTED,))
        books.payouts.credit_back(back, state=PayoutState.REJECTED, settlement_date=ON, now=MORNING)
        books.payouts.refuse_accounts({"refund.1": "AC04"}, now=MORNING)
        assert books.journal.balances("borrower_payable:") == {("borrower_payable:F1", "KRW"): -100}
        assert rows(books.payouts.payables(), "payee_kind", "payee_id", "attempt") == [
            ("borrower", "F1", 2), ("investor", "F1", 1)
        ]  # fmt: skip
        assert rows(books.payouts.refused_accounts(), *frames.REFUSED_ACCOUNTS.column_names) == [
            ("borrower", "F1", "acc-F1", "")
        ]


def test_parts_of_a_refund_that_are_undone_are_its_no_longer_and_no_more_than_is_owed_can_be(ledger: Ledger) -> None:
    opened(ledger)
    ordered(ledger, ("R1", 40), ("R2", 60))
    with ledger.books(posting=True) as books:
        assert [(part.repayment_id, part.amount) for part in books.refunds.parts("F1")] == [("R1", 40), ("R2", 60)]
        assert books.refunds.find("F2") is None
        undo(books, ("R2", 60), ("R1", 1))
        assert [(part.repayment_id, part.amount) for part in books.refunds.parts("F1")] == [("R1", 39)]
        assert books.journal.balances("borrower") == {
            ("borrower_payable:F1", "KRW"): -39, ("borrower_credit:L1", "KRW"): -61
        }  # fmt: skip
    with pytest.raises(REFUSED), ledger.books(posting=True) as books:
        undo(books, ("R1", 40))
    with ledger.books(read_only=True) as books:
        assert books.journal.balance("borrower_payable:F1", "KRW") == -39


def test_an_overdrawn_borrower_is_a_break_of_the_refund(ledger: Ledger) -> None:
    opened(ledger)
    with ledger.books(posting=True) as books:
        entry = postings.repayment_reversed([(BORROWER_PAYABLE("F1"), -5), (BORROWER_CREDIT("L1"), 5)])
        books.journal.post(JournalEntry(entry=entry, currency="KRW"), settlement_date=ON, now=MORNING)
        assert [
            (found.cause, found.subject_kind, found.subject_id, found.amount) for found in books.breaks.found()
        ] == [("borrower_overdrawn", "refund", "F1", 5)]


# ------------------------------------------------------------------------------------------------------- the source


@pytest.fixture(params=["memory", "postgres"])
def core(request: pytest.FixtureRequest) -> LendingCore:
    """A source with two investors, a refund, a repayment and its undoing."""
    if request.param == "memory":
        memory = MemoryCore()
        memory.payee_rows["A"] = {
            "payee_kind": "investor", "payee_id": "A", "name": "김하나", "status": "active",
            "account": "110-20", "bank": "088",
        }  # fmt: skip
        memory.payee_rows["F1"] = {
            "payee_kind": "borrower", "payee_id": "F1", "name": "홍길동", "status": "active",
            "account": "110-9", "bank": "004",
        }  # fmt: skip
        memory.payee_rows["B"] = {"payee_kind": "investor", "payee_id": "B", "name": "이세찬", "status": "frozen"}
        memory.receive("R1", 95_000, reference="REF-R1", at=MORNING)
        memory.receive("R2", 95_000, reference="", at=MORNING + 18 * HOUR, undoes=True)
        return memory
    urls = request.getfixturevalue("lending_core")
    engine = sa.create_engine(urls.owner_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("""
            insert into core.loans values ('L1', 'KRW', '2026-01-15');
            insert into core.investors (investor_id, name, status, tax_class, payout_account, payout_bank) values
              ('A', '김하나', 'active', 'individual', '110-20', '088'),
              ('B', '이세찬', 'frozen', 'individual', null, null);
            insert into core.refunds values
              ('F1', 'L1', 'KRW', 5, '홍길동', '110-9', '004', '2026-02-13 06:00+09'),
              ('A', 'L1', 'KRW', 5, '임꺽정', '110-8', null, '2026-02-13 06:00+09');
            insert into core.repayments
              (repayment_id, loan_id, received_at, amount, bank_reference, reverses_repayment_id) values
              ('R1', 'L1', '2026-02-13 06:00+09', 95000, 'REF-R1', null),
              ('R2', 'L1', '2026-02-14 00:00+09', 95000, null, 'R1');
        """)
    return PostgresLendingCore(urls.url)


def test_the_source_says_who_is_paid_where_and_what_came_in(core: LendingCore) -> None:
    assert rows(core.payees(["A", "B", "C"], ["F1", "F9"]), *frames.PAYEES.column_names) == [
        ("borrower", "F1", "홍길동", "active", "110-9", "004"),
        ("investor", "A", "김하나", "active", "110-20", "088"),
        ("investor", "B", "이세찬", "frozen", None, None),
    ]
    assert len(core.payees(["C"], [])) == 0
    assert core.received_at(["R1", "R9"]) == {"R1": MORNING}

    def receipts(*references: str, since: date = NEXT, ids: Sequence[str] = ()) -> list[Subject]:
        found = core.receipts(references=references, since=since, repayment_ids=ids, calendar=CALENDAR)
        return sorted(matching.subjects_in(found), key=lambda subject: subject.subject_id)

    came = replace(subject(SubjectKind.RECEIPT, "R1", 95_000), reference="REF-R1", on=NEXT, group="L1")
    undone = replace(subject(SubjectKind.RECEIPT_UNDONE, "R2", -95_000), reference="", on=date(2026, 2, 19), group="L1")
    assert receipts("REF-R1") == [came]
    assert receipts("REF-R1", ids=["R2", "R9"]) == [came, undone]
    assert receipts("REF-R9") == []
    assert receipts("REF-R1", since=date(2026, 2, 19)) == []
    assert receipts("REF-R1", since=date(2026, 2, 19), ids=["R1"]) == [came]


def test_a_room_that_is_not_kept_in_memory_says_so_when_a_test_enters_it() -> None:
    memory = MemoryLedger(alerts=POLICY)
    with (
        memory.books() as books,
        pytest.raises(LookupError, match=r"\[MemoryBooks\.in_transit\] is not kept in memory"),
    ):
        books.in_transit.receipts()
    with memory.books() as books, pytest.raises(LookupError, match=r"\[Close\.seal\] is not kept in memory"):
        books.close.seal(1, since={})
