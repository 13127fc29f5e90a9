"""The auditor of the rehearsals, held against a day whose outcome is known: silent where all is well, not longer."""

from __future__ import annotations

from settlement.demo import bank as demo_bank
from settlement.rehearse.audit import Auditor
from settlement.stages import intake

from .conftest import Platform
from .payout_stories import NEXT_MORNING, settle, worked_day


def auditor(platform: Platform) -> Auditor:
    return Auditor(
        books=platform.ledger_url.replace("+psycopg", ""),
        bank_url=platform.bank.url,
        account=demo_bank.DEBTOR_ACCOUNT,
    )


def test_lines_that_are_kept_and_not_booked_yet_are_no_violation_until_the_bank_is_heard_out(
    platform: Platform,
) -> None:
    worked_day(platform)
    settle(platform)
    now = platform.at(NEXT_MORNING)
    with platform.services() as services:
        assert services.bank is not None
        with services.ledger.books() as books:
            for message in services.bank.fetch():
                books.keep_message(message, direction="in", now=now)
        intake.apply_new(services, now=now)  # and here the process dies
        assert auditor(platform).violations(is_settled=True) == []
        assert auditor(platform).violations(is_settled=True, is_heard_out=True) == [
            "[3] lines of the bank are never booked"
        ]
        intake.match_open(services, now=now)
    assert auditor(platform).violations(is_settled=True, is_heard_out=True) == []
