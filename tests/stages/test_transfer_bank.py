"""What a bank and a network can do to payouts, and that none is lost, doubled or stranded by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest
import sqlalchemy as sa
from settlement import wiring
from settlement.domain.errors import Displaced, Refused, Unavailable
from settlement.ports.days import DayRun, RunRequest
from settlement.stages import apply, inquire, match, open_day, reconcile, submit, take_in

from .conftest import Platform
from .payout_stories import (
    MORNING,
    NEXT_MORNING,
    OWED,
    balance,
    booked_at_bank,
    file_of,
    hear,
    ids,
    misbehaving,
    owed,
    returned,
    settle,
    settle_next,
    states,
    status_report,
    worked_day,
)

AT_BANK = [("김하나", 43790), ("이세찬", 17524), ("주식회사 두리", 26736)]
ALL = [(investor, amount, 1, "accepted") for investor, amount in OWED]


def in_state(state: str, attempt: int = 1) -> list[tuple[str, int, int, str]]:
    return [(investor, amount, attempt, state) for investor, amount in OWED]


def bank_again(platform: Platform, at: str) -> None:
    """Ask and hear the bank as the quarter-hourly reconciliation does."""
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at(at))


def test_an_answer_that_was_lost_is_asked_for_and_nothing_is_paid_twice(platform: Platform) -> None:
    worked_day(platform)
    with misbehaving(platform, "drop_after"):
        assert settle(platform, stop_after="submit")["submit"] == {"files": 1, "unknown": 1}
        assert states(platform) == in_state("unknown")
        settle(platform)
    assert states(platform) == ALL
    bank_again(platform, "2026-02-17T06:20+09:00")
    assert booked_at_bank(platform) == AT_BANK
    outcomes = platform.rows("select outcome from ledger.transmissions order by number")
    assert outcomes == [("unknown",)]


def test_a_file_that_never_arrived_is_unknown_until_the_bank_takes_it(platform: Platform) -> None:
    worked_day(platform)
    with misbehaving(platform, "drop_before"):
        said = settle(platform)
    assert states(platform) == in_state("unknown")
    assert said["answers"]["payouts"] == {"unknown": {"KRW": 88050}}
    assert said["report"]["state"] == "settled_with_breaks"
    assert owed(platform) == []  # the money is at risk: it is nobody's balance
    bank_again(platform, "2026-02-17T06:20+09:00")
    assert states(platform) == ALL
    assert booked_at_bank(platform) == AT_BANK
    assert [row[0] for row in platform.rows("select outcome from ledger.transmissions order by number")] == [
        "unknown",
        "received",
    ]


@pytest.mark.parametrize("fault", ["error_before", "error_after", "truncate", "silent_after", "duplicate", "refuse"])
def test_whatever_the_network_does_each_payout_is_paid_once(platform: Platform, fault: str) -> None:
    worked_day(platform)
    with misbehaving(platform, fault):
        settle(platform)
    bank_again(platform, "2026-02-17T06:20+09:00")
    bank_again(platform, "2026-02-17T06:40+09:00")
    assert booked_at_bank(platform) == AT_BANK
    assert states(platform) == ALL


def test_a_bank_that_cannot_be_reached_gets_the_same_bytes_later(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="approval")
    now = platform.at(MORNING)
    day = DayRun(settlement_date=date(2026, 2, 16), revision=1, run_id="run-1")
    with misbehaving(platform) as proxy:
        proxy.close()
        with platform.services() as services, pytest.raises(Unavailable, match="could not be reached"):
            submit.submit(services, day, now=now)
    assert states(platform) == in_state("submitted")
    with platform.services() as services:
        assert submit.submit(services, day, now=now) == {"files": 1, "received": 1}
        inquire.hear_answers(services, day, now=now)
    assert states(platform) == ALL
    assert platform.rows("select count(*) from ledger.payout_files") == [(1,)]


def test_a_file_rejected_whole_gives_the_money_back_and_holds_nobodys_account(platform: Platform) -> None:
    worked_day(platform)
    platform.bank.change_account("PLATFORM", behaviour="reject-file")
    settle(platform)
    assert states(platform) == in_state("rejected")
    assert owed(platform) == OWED
    platform.bank.change_account("PLATFORM", behaviour="accept")
    settle_next(platform)
    assert states(platform) == [*in_state("rejected"), *in_state("accepted", attempt=2)]
    assert booked_at_bank(platform) == AT_BANK


def test_a_whole_rejection_whose_answer_was_lost_is_believed_from_its_report(platform: Platform) -> None:
    worked_day(platform)
    platform.bank.change_account("PLATFORM", behaviour="reject-file")
    with misbehaving(platform, "drop_after"):
        settle(platform)
    assert states(platform) == in_state("rejected")
    assert owed(platform) == OWED


def test_a_duplicate_answer_to_a_file_that_was_rejected_whole_is_no_acceptance(platform: Platform) -> None:
    worked_day(platform)
    platform.bank.change_account("PLATFORM", behaviour="reject-file")
    # The first answer and its report are both lost to us for now; the second transmission is a duplicate.
    with misbehaving(platform, "drop_after"):
        settle(platform, stop_after="approval")
        day = DayRun(settlement_date=date(2026, 2, 16), revision=1, run_id="run-1")
        now = platform.at(MORNING)
        with platform.services() as services:
            submit._write_files(services, day, now=now)
            file_id = file_of(platform)
            number, content = submit._hand_over(services, file_id, day=day, now=now) or (0, b"")
            assert services.bank is not None
            submit._keep_answer(services, file_id, number, services.bank.submit(file_id, content), now=now)
            assert states(platform) == in_state("unknown")
            number, content = submit._hand_over(services, file_id, day=day, now=now) or (0, b"")
            answer = services.bank.submit(file_id, content)
            assert answer.outcome == "duplicate"
            submit._keep_answer(services, file_id, number, answer, now=now)
            assert states(platform) == in_state("unknown")
            inquire.hear_answers(services, day, now=now)
    assert states(platform) == in_state("rejected")
    assert owed(platform) == OWED


def test_a_refusal_of_the_second_transmission_proves_nothing_of_the_first(platform: Platform) -> None:
    worked_day(platform)
    with misbehaving(platform, "drop_before"):
        settle(platform)
    platform.bank.change_account("PLATFORM", behaviour="reject-file")
    bank_again(platform, "2026-02-17T06:20+09:00")
    assert states(platform) == in_state("unknown")
    assert owed(platform) == []


def test_a_silent_bank_leaves_payouts_unknown_until_the_statement_shows_them(platform: Platform) -> None:
    worked_day(platform)
    platform.bank.change_account("PLATFORM", behaviour="silent")
    settle(platform)
    # mock-bank notifies the booking on the execution date; before that nothing is known.
    assert states(platform) == in_state("unknown")
    for minute in (20, 40):
        bank_again(platform, f"2026-02-17T06:{minute}+09:00")
    bank_again(platform, "2026-02-18T12:00+09:00")
    assert platform.rows("select count(*) from ledger.transmissions") == [
        (1,)
    ]  # it has the file: it is not asked again
    bank_again(platform, NEXT_MORNING)
    assert states(platform) == in_state("booked")
    assert booked_at_bank(platform) == AT_BANK


def test_a_bank_that_took_a_file_and_stays_silent_is_asked_again_when_it_had_a_business_day(platform: Platform) -> None:
    worked_day(platform)
    platform.bank.change_account("PLATFORM", behaviour="silent")
    settle(platform)
    # The file is executed on Thursday, after two holidays: the bank itself stands still from here on.
    with platform.services() as services:
        for instant in ("2026-02-18T12:00", "2026-02-19T23:59", "2026-02-20T09:59"):
            inquire.inquire(services, now=datetime.fromisoformat(f"{instant}+09:00"))
        assert platform.rows("select outcome from ledger.transmissions") == [("received",)]
        for instant in ("2026-02-20T10:00", "2026-02-20T10:15"):
            inquire.inquire(services, now=datetime.fromisoformat(f"{instant}+09:00"))
    assert platform.rows("select outcome from ledger.transmissions order by number") == [("received",), ("duplicate",)]
    assert states(platform) == in_state("unknown")


def test_a_rejection_after_an_acceptance_gives_the_money_back(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    with platform.services() as services:
        report = status_report("S-9", file_of(platform), {ids(platform)["A"]: ("RJCT", "AC04")})
        hear(services, platform, report, kind="pain.002", at="2026-02-17T08:00+09:00")
    assert states(platform) == [("A", 43790, 1, "rejected"), *ALL[1:]]
    assert owed(platform) == [("A", 43790)]


def test_a_rejection_of_what_a_statement_shows_as_booked_changes_nothing(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    bank_again(platform, NEXT_MORNING)
    with platform.services() as services:
        report = status_report("S-9", file_of(platform), {ids(platform)["A"]: ("RJCT", "AC04")})
        hear(services, platform, report, kind="pain.002", at=NEXT_MORNING)
        whole = status_report("S-10", file_of(platform), group="RJCT", reason="FF01")
        hear(services, platform, whole, kind="pain.002", at=NEXT_MORNING)
    assert states(platform) == in_state("booked")
    assert owed(platform) == []


def test_what_was_rejected_and_stands_on_the_statement_as_paid_is_not_paid_again(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    with platform.services() as services:
        report = status_report("S-9", file_of(platform), {ids(platform)["A"]: ("RJCT", "AM04")})
        hear(services, platform, report, kind="pain.002", at="2026-02-17T08:00+09:00")
    assert owed(platform) == [("A", 43790)]
    settle_next(platform)
    assert states(platform) == in_state("booked")
    assert owed(platform) == []
    told = "select subject_kind, subject_id, amount from reporting.breaks where cause = 'message_refused'"
    assert platform.rows(told) == [("payout", "20260216.1.A.KRW.1.1", 43790)]


def test_a_payment_called_a_duplicate_is_not_rejected(platform: Platform) -> None:
    worked_day(platform)
    with misbehaving(platform, "drop_before"):
        settle(platform)
    with platform.services() as services:
        report = status_report("S-9", file_of(platform), {ids(platform)["A"]: ("RJCT", "AM05")})
        hear(services, platform, report, kind="pain.002", at="2026-02-17T08:00+09:00")
    assert states(platform) == in_state("unknown")
    assert owed(platform) == []


def test_payments_that_are_all_rejected_by_name_hold_the_accounts_that_are_to_blame(platform: Platform) -> None:
    worked_day(platform)
    platform.source("update core.investors set payout_account = 'NL30MOCK0000000005', payout_bank = null")
    platform.bank.open_account("GONE", "NL30MOCK0000000005", owner="X", behaviour="closed-account")
    settle(platform)
    assert states(platform) == in_state("rejected")
    settle_next(platform)
    assert states(platform) == in_state("rejected")
    assert platform.rows("select investor_id, amount, reason from reporting.held") == [
        ("A", 43790, "account_refused"),
        ("B", 26736, "account_refused"),
        ("C", 17524, "account_refused"),
    ]


def test_a_refused_account_is_held_until_the_source_names_another(platform: Platform) -> None:
    worked_day(platform)
    platform.source(
        "update core.investors set payout_account = 'NL30MOCK0000000005', payout_bank = null where investor_id = 'A'"
    )
    platform.bank.open_account("GONE", "NL30MOCK0000000005", owner="X", behaviour="closed-account")
    settle(platform)
    assert states(platform) == [("A", 43790, 1, "rejected"), *ALL[1:]]
    settle_next(platform)
    assert platform.rows("select investor_id, amount, reason from reporting.held") == [("A", 43790, "account_refused")]
    platform.source(
        "update core.investors set payout_account = '110-20-300009', payout_bank = '088' where investor_id = 'A'"
    )
    platform.settle("2026-02-20", at="2026-02-21T06:00+09:00", run_id="run-3")
    assert states(platform)[-1] == ("A", 43790, 2, "accepted")
    assert platform.rows("select * from reporting.held") == []


def test_a_return_before_the_statement_shows_the_booking_clears_both_lines(platform: Platform) -> None:
    worked_day(platform)
    platform.bank.change_account("PLATFORM", behaviour="return-later", parameters={"days": 1, "reason": "MS03"})
    settle(platform)
    with platform.services() as services:
        hear(services, platform, returned(ids(platform)["A"], 43790), kind="pacs.004", at="2026-02-19T08:00+09:00")
    assert states(platform)[0] == ("A", 43790, 1, "returned")
    assert owed(platform) == [("A", 43790)]
    bank_again(platform, "2026-02-23T06:00+09:00")
    assert states(platform) == in_state("returned")
    assert owed(platform) == OWED
    assert balance(platform, "payouts_in_transit") == 0
    assert balance(platform, "suspense") == 0
    assert platform.rows("select distinct booked_on::text from reporting.payouts") == [("2026-02-19",)]


def test_a_return_that_only_the_statement_tells_gives_the_money_back_once(platform: Platform) -> None:
    worked_day(platform)
    platform.bank.change_account("PLATFORM", behaviour="return-later", parameters={"days": 1, "reason": "AC04"})
    settle(platform)
    platform.at("2026-02-23T06:00+09:00")
    with platform.services() as services:
        assert services.bank is not None
        messages = list(services.bank.fetch())
        now = platform.at("2026-02-23T06:00+09:00")
        with services.ledger.books() as books:
            for message in messages:
                if message.kind == "camt.053":
                    books.bank_lines.keep_message(message, direction="in", now=now)
        take_in.apply_new(services, now=now)
        match.match(services, now=now)
        assert states(platform) == in_state("returned")
        assert owed(platform) == OWED
        take_in.take_in(services, now=now)
    assert states(platform) == in_state("returned")
    assert owed(platform) == OWED
    assert balance(platform, "payouts_in_transit") == 0
    assert platform.rows("select count(*) from ledger.refused_accounts") == [(3,)]


def test_a_return_that_is_still_to_be_credited_does_not_hide_what_is_still_to_be_debited(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    with platform.services() as services:
        hear(services, platform, returned(ids(platform)["A"], 43790), kind="pacs.004", at="2026-02-17T08:00+09:00")
        with services.ledger.books(read_only=True) as books:
            parts = {part.is_returned: part.amount for part in books.payouts.under_way()}
    assert parts == {True: 43790, False: 44260}


def test_what_a_bank_said_is_kept_even_if_the_run_was_displaced_while_it_said_it(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="approval")
    now = platform.at(MORNING)
    day = DayRun(settlement_date=date(2026, 2, 16), revision=1, run_id="run-1")
    with platform.services() as services:
        bank = services.bank
        assert bank is not None

        class Displacing:
            """The bank, in whose answering time another run opens the day."""

            def __getattr__(self, name: str) -> object:
                return getattr(bank, name)

            def submit(self, file_id: str, content: bytes) -> object:
                answer = bank.submit(file_id, content)  # type: ignore[union-attr]  # there is a bank, as asserted above
                open_day.open_day(services, RunRequest(settlement_date=day.settlement_date, run_id="run-2"), now=now)
                return answer

        displaced = replace(services, bank=Displacing())  # type: ignore[arg-type]  # the rest of it is the bank's
        assert submit.submit(displaced, day, now=now) == {"files": 1, "received": 1}
        with pytest.raises(Displaced):
            inquire.hear_answers(services, day, now=now)
    assert platform.rows("select outcome from ledger.transmissions") == [("received",)]
    settle(platform, run_id="run-2")
    assert states(platform) == ALL
    assert booked_at_bank(platform) == AT_BANK


def test_a_displaced_run_hands_nothing_over(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="approval")
    now = platform.at(MORNING)
    day = DayRun(settlement_date=date(2026, 2, 16), revision=1, run_id="run-1")
    with platform.services() as services:
        submit._write_files(services, day, now=now)
        open_day.open_day(services, RunRequest(settlement_date=day.settlement_date, run_id="run-2"), now=now)
        with pytest.raises(Displaced):
            submit.send(services, [file_of(platform)], day=day, now=now)
    assert platform.bank.payments() == []
    assert platform.rows("select count(*) from ledger.transmissions") == [(0,)]


def test_a_file_with_a_payout_whose_money_was_given_back_never_leaves(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="approval")
    now = platform.at(MORNING)
    day = DayRun(settlement_date=date(2026, 2, 16), revision=1, run_id="run-1")
    with platform.services() as services:
        submit._write_files(services, day, now=now)
        with services.ledger.books(posting=True) as books:
            apply.withdraw(services, books, books.payouts.find()[:1], cause="test", said={}, now=now)
        assert submit.send(services, [file_of(platform)], day=day, now=now) == {}
        with pytest.raises(sa.exc.IntegrityError, match="cannot leave"), services.ledger.books(posting=True) as books:
            books.files.open_transmission(file_of(platform), run_id=None, now=now)
    assert platform.bank.payments() == []


def test_a_person_who_asked_the_bank_clears_what_no_inquiry_can(platform: Platform) -> None:
    worked_day(platform)
    with misbehaving(platform, "drop_before"):
        settle(platform)
    platform.bank.change_account("PLATFORM", behaviour="reject-file")
    bank_again(platform, "2026-02-17T06:20+09:00")
    platform.bank.change_account("PLATFORM", behaviour="accept")
    file_id = file_of(platform)
    with wiring.operators() as services:  # as in the operator's pages, whose role can do it
        now = platform.at("2026-02-17T08:00+09:00")
        (found,) = inquire.unknown_files(services)
        assert (found.payouts, found.amount, found.state, found.transmissions) == (3, 88050, "unknown", 2)
        with pytest.raises(Refused, match="may still arrive"):
            inquire.declare_absent(services, file_id, by="ops", reason="phoned", now=now)
        with pytest.raises(Refused, match=r"wait until \[2026-02-20T10:00:00\+09:00\]"):
            inquire.declare_absent(
                services, file_id, by="ops", reason="phoned", now=platform.at("2026-02-19T08:00+09:00")
            )
        now = platform.at("2026-02-20T10:00+09:00")
        with pytest.raises(Refused, match="a name and a reason"):
            inquire.declare_absent(services, file_id, by="", reason="phoned", now=now)
        assert inquire.declare_absent(services, file_id, by="ops", reason="phoned the bank", now=now) == {
            "file_id": file_id,
            "payouts": 3,
            "amounts": {"KRW": 88050},
        }
        assert inquire.unknown_files(services) == []
        with pytest.raises(Refused, match="nothing is unknown"):
            inquire.declare_absent(services, file_id, by="ops", reason="again", now=now)
    assert (states(platform), owed(platform)) == (in_state("rejected"), OWED)
    settle_next(platform)
    assert states(platform) == [*in_state("rejected"), *in_state("accepted", attempt=2)]
    assert booked_at_bank(platform) == AT_BANK


@pytest.mark.parametrize("accepted", ["ACCP", "ACFC"])
def test_what_a_bank_passes_over_in_silence_can_be_cleared_beside_what_it_took(
    platform: Platform, accepted: str
) -> None:
    worked_day(platform)
    with misbehaving(platform, "drop_before"):
        settle(platform)
    named = ids(platform)
    with platform.services() as services:
        report = status_report(
            "S-9", file_of(platform), {named["A"]: (accepted, None), named["B"]: ("RJCT", "AC04")}, group="PART"
        )
        hear(services, platform, report, kind="pain.002", at="2026-02-17T08:00+09:00")
        now = platform.at("2026-02-20T10:00+09:00")
        assert inquire.inquire(services, now=now) == {}  # a file of which the bank has spoken is never sent again
        (found,) = inquire.unknown_files(services)
        assert (found.payouts, found.amount, found.state) == (1, 17524, "received")
        inquire.declare_absent(services, file_of(platform), by="ops", reason="phoned the bank", now=now)
    assert [row[3] for row in states(platform)] == ["accepted", "rejected", "rejected"]
    assert owed(platform) == OWED[1:]


def test_a_payment_is_accepted_by_whichever_of_its_codes_the_bank_uses(platform: Platform) -> None:
    worked_day(platform)
    with misbehaving(platform, "drop_before"):
        settle(platform)
    named = ids(platform)
    with platform.services() as services:
        said = {named["A"]: ("ACFC", None), named["B"]: ("ACPD", None), named["C"]: ("PATC", None)}
        report = status_report("S-9", file_of(platform), said, group="PART")
        hear(services, platform, report, kind="pain.002", at="2026-02-17T08:00+09:00")
    assert [row[3] for row in states(platform)] == ["accepted", "accepted", "unknown"]
