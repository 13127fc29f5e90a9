"""The whole conversation with mock-bank over real sockets, one story per behaviour."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from settlement.adapters.bank import reading
from settlement.adapters.bank.formats import pain001
from settlement.domain import frames
from settlement.domain.bank.messages import (
    FileAnswer,
    Message,
    Reading,
    Return,
    Submission,
    SubmissionOutcome,
)
from settlement.domain.bank.statement import Notification, Statement
from settlement.domain.errors import UnreadableMessage

from .mock_bank import ACCOUNT, OPENING, MockBank, http_bank, payment, payment_file
from .readings import parts

CREDITOR = "NL30MOCK0000000005"


def send(bank: MockBank, *payments: dict[str, Any], file_id: str = "F260216-1-KRW-1") -> Submission:
    file = payment_file(*payments, file_id=file_id)
    return http_bank(bank.url).submit(file.file_id, pain001.write(file))


def collect(bank: MockBank) -> list[Reading]:
    """Fetch, keep and acknowledge, as a stage does, and read what came."""
    channel = http_bank(bank.url)
    kept: list[Message] = []
    waiting = list(channel.fetch())
    while waiting:
        kept += waiting
        waiting = list(channel.acknowledge(waiting))
    return [reading.read(message) for message in kept]


def collect_statement(bank: MockBank) -> Statement:
    """Collect, where one statement waits and nothing else."""
    (told,) = collect(bank)
    (statement,) = parts(told, Statement)
    return statement


def test_a_file_is_accepted_booked_and_stands_on_the_statement(bank: MockBank) -> None:
    submission = send(bank, payment("P-1", 43_790), payment("P-2", 26_736))
    assert (submission.outcome, submission.status_code) == (SubmissionOutcome.RECEIVED, 202)

    answer, booked = collect(bank)
    assert isinstance(answer, FileAnswer)
    assert (answer.file_id, answer.group_status) == ("F260216-1-KRW-1", "ACCP")
    assert list(frames.rows(answer.payments, "end_to_end_id", "status")) == [("P-1", "ACCP"), ("P-2", "ACCP")]
    (notification,) = parts(booked, Notification)
    assert [(line.end_to_end_id, line.amount) for line in notification.lines] == [("P-1", -43_790), ("P-2", -26_736)]

    bank.advance(1)
    statement = collect_statement(bank)
    assert (statement.account, statement.currency, statement.sequence) == (ACCOUNT, "KRW", 1)
    assert (statement.business_date, statement.opening, statement.closing) == (dt.date(2026, 2, 16), OPENING, 929_474)
    assert [(line.end_to_end_id, line.amount) for line in statement.lines] == [("P-1", -43_790), ("P-2", -26_736)]
    assert {line.file_id for line in statement.lines} == {"F260216-1-KRW-1"}
    assert {line.bank_code for line in statement.lines} == {"PMNT/ICDT/ESCT"}


def test_the_bank_holds_what_was_written_to_the_letter(bank: MockBank) -> None:
    send(bank, payment("P-1", 43_790))
    (held,) = bank.payments()
    assert (held["end_to_end_id"], held["amount"], held["currency"]) == ("P-1", 43_790, "KRW")
    assert (held["creditor_name"], held["creditor_iban"]) == ("김하늘", "110-123-456789")
    assert held["creditor_clearing_id"] == "088"


def test_an_account_that_is_closed_rejects_one_payment_and_not_its_neighbour(bank: MockBank) -> None:
    bank.hold("CLOSED", CREDITOR, "closed-account")
    submission = send(bank, payment("P-1", 100), payment("P-2", 200, payee_account=CREDITOR))
    assert submission.outcome is SubmissionOutcome.RECEIVED

    answer = collect(bank)[0]
    assert isinstance(answer, FileAnswer)
    assert answer.group_status == "PART"
    accepted, rejected = frames.rows(answer.payments, *answer.payments)
    assert accepted == ("P-1", "ACCP", None, "")
    assert rejected[:3] == ("P-2", "RJCT", "AC04")


@pytest.mark.parametrize(
    ("behaviour", "creditor", "reason"),
    [("insufficient-funds", "110-123", "AM04"), ("bad-bank-id", CREDITOR, "RC01")],
)
def test_a_payment_that_the_bank_cannot_make_is_rejected_with_its_reason(
    bank: MockBank, behaviour: str, creditor: str, reason: str
) -> None:
    if behaviour == "bad-bank-id":
        bank.hold("NOBANK", CREDITOR, behaviour)
    else:
        bank.behave(behaviour)
    submission = send(bank, payment("P-1", OPENING + 1, payee_account=creditor))
    assert submission.outcome is SubmissionOutcome.UNKNOWN  # the report says what became of the payment

    (answer,) = collect(bank)
    assert isinstance(answer, FileAnswer)
    assert list(frames.rows(answer.payments, "status", "reason")) == [("RJCT", reason)]


def test_a_payment_that_comes_back_later_is_told_three_times_under_its_id(bank: MockBank) -> None:
    bank.behave("return-later", days=1, reason="AC04")
    send(bank, payment("P-1", 43_790))
    collect(bank)
    bank.advance(2)

    first, second, *statements = collect(bank)
    ((returned,), (credited,)) = parts(first, Return), parts(second, Notification)
    (monday,), (tuesday,) = (parts(told, Statement) for told in statements)
    assert returned == Return(
        return_id="MB-RTR-1",
        end_to_end_id="P-1",
        amount=43_790,
        currency="KRW",
        original_amount=43_790,
        reason="AC04",
        return_date=dt.date(2026, 2, 17),
        file_id="F260216-1-KRW-1",
    )
    assert [(line.end_to_end_id, line.amount, line.is_return) for line in credited.lines] == [("P-1", 43_790, True)]
    assert (monday.closing, tuesday.opening, tuesday.closing) == (OPENING - 43_790, OPENING - 43_790, OPENING)
    (line,) = tuesday.lines
    assert (line.end_to_end_id, line.amount, line.is_return, line.reason) == ("P-1", 43_790, True, "AC04")
    assert line.bank_code == "PMNT/ICDT/RRTN"


def test_a_file_that_is_rejected_whole_is_refused(bank: MockBank) -> None:
    bank.behave("reject-file")
    submission = send(bank)
    assert (submission.outcome, submission.status_code, submission.reason) == (SubmissionOutcome.REFUSED, 422, "FF01")

    (answer,) = collect(bank)
    assert isinstance(answer, FileAnswer)
    assert (answer.group_status, answer.is_duplicate, answer.reason, len(answer.payments)) == ("RJCT", False, "FF01", 0)


def test_the_same_file_again_is_a_duplicate_and_pays_nothing(bank: MockBank) -> None:
    first, second = send(bank), send(bank)
    assert (first.outcome, second.outcome, second.reason) == (
        SubmissionOutcome.RECEIVED,
        SubmissionOutcome.DUPLICATE,
        "DUPL",
    )
    assert len(bank.payments()) == 1

    answers = [found for found in collect(bank) if isinstance(found, FileAnswer)]
    assert [found.is_duplicate for found in answers] == [False, True]


def test_a_silent_bank_takes_the_file_and_only_the_statement_tells(bank: MockBank) -> None:
    bank.behave("silent")
    assert send(bank, payment("P-1", 43_790)).outcome is SubmissionOutcome.RECEIVED
    bank.advance(1)
    found = collect(bank)
    assert not any(isinstance(one, FileAnswer) for one in found)
    assert [line.end_to_end_id for line in parts(found[-1], Statement)[0].lines] == ["P-1"]


def test_a_statement_with_a_hole_in_it_is_refused_with_the_amount_that_is_missing(bank: MockBank) -> None:
    bank.behave("statement-gap")
    send(bank, payment("P-1", 43_790), payment("P-2", 26_736))
    bank.advance(1)
    (statement,) = [message for message in http_bank(bank.url).fetch() if message.kind == "camt.053"]
    with pytest.raises(UnreadableMessage, match="does not add up") as refusal:
        reading.read(statement)
    assert (refusal.value.statement_id, refusal.value.difference) == ("MB-C053-OURS-1", -26_736)


def test_money_that_arrives_carries_its_references_however_the_payer_gave_them(bank: MockBank) -> None:
    bank.credit(95_000, reference="VA-000123", note="상환 L1", debtor={"name": "박대출", "iban": CREDITOR})
    bank.credit(1_000, note="REF VA-000124 PARTIAL PAYMENT OF LOAN L2 FEB", wrap=35)
    bank.advance(1)
    found = collect(bank)
    statement = parts(found[-1], Statement)[0]
    structured, wrapped = statement.lines
    assert (structured.amount, structured.reference, structured.remittance) == (95_000, "VA-000123", "상환 L1")
    assert structured.counterparty_account == CREDITOR
    assert (wrapped.amount, wrapped.reference) == (1_000, None)
    assert wrapped.remittance == "REF VA-000124 PARTIAL PAYMENT OF LO\nAN L2 FEB"
    assert {line.end_to_end_id for line in statement.lines} == {None}
    assert "박대출" not in repr(found)


def test_a_day_without_entries_is_a_statement_all_the_same(bank: MockBank) -> None:
    bank.advance(1)
    statement = collect_statement(bank)
    assert (statement.opening, statement.closing, statement.lines) == (OPENING, OPENING, ())


def test_the_mailbox_is_emptied_by_what_is_kept_and_by_nothing_else(bank: MockBank) -> None:
    send(bank)
    channel = http_bank(bank.url)
    waiting = list(channel.fetch())
    assert [message.kind for message in waiting] == ["pain.002", "camt.054"]
    assert list(channel.fetch()) == waiting  # looked at, not taken

    assert list(channel.acknowledge(waiting)) == []
    assert (bank.waiting(), list(channel.fetch())) == ([], [])


def test_a_message_that_arrives_after_the_look_is_not_taken_unseen(bank: MockBank) -> None:
    send(bank, payment("P-1", 1), file_id="F-1")
    channel = http_bank(bank.url)
    first = list(channel.fetch())
    send(bank, payment("P-2", 2), file_id="F-2")

    late = list(channel.acknowledge(first))
    assert [message.kind for message in late] == ["pain.002", "camt.054"]
    assert len(bank.waiting()) == 4  # nothing was taken: something new was there
    assert list(channel.acknowledge([*first, *late])) == []
    assert bank.waiting() == []


def test_the_login_of_the_connection_opens_the_door_and_is_never_told(start_bank: Callable[..., MockBank]) -> None:
    bank = start_bank(auth=("maker", "s3cret"))
    file = payment_file()
    content = pain001.write(file)
    assert (
        http_bank(bank.url, login="maker", password="s3cret").submit(file.file_id, content).outcome
        is SubmissionOutcome.RECEIVED
    )

    refused = http_bank(bank.url, login="maker", password="wr0ng").submit(file.file_id, content)
    assert (refused.outcome, refused.status_code) == (SubmissionOutcome.NOT_SENT, 401)
    assert "wr0ng" not in refused.text
    with pytest.raises(Exception, match="refused the login") as refusal:
        list(http_bank(bank.url, login="maker", password="wr0ng").fetch())
    assert "wr0ng" not in str(refusal.value) and bank.url in str(refusal.value)
