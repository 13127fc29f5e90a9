"""The auditor of the rehearsals, held against a day whose outcome is known: silent where all is well, not longer."""

from __future__ import annotations

from settlement.stages import match, take_in
from settlement_lab.rehearse.audit import Auditor
from settlement_lab.servers import bank as demo_bank

from .conftest import Platform
from .payout_stories import NEXT_MORNING, hear, ids, returned, settle, settle_next, worked_day


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
                books.bank_lines.keep_message(message, direction="in", now=now)
        take_in.apply_new(services, now=now)  # and here the process dies
        assert auditor(platform).violations(is_settled=True) == []
        assert auditor(platform).violations(is_settled=True, is_heard_out=True) == [
            "[3] lines of the bank are never booked"
        ]
        match.match(services, now=now)
    assert auditor(platform).violations(is_settled=True, is_heard_out=True) == []


def test_money_that_came_back_is_offered_by_the_next_day_or_the_auditor_says_so(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    with platform.services() as services:
        hear(services, platform, returned(ids(platform)["A"], 43790), kind="pacs.004", at="2026-02-17T08:00+09:00")
    owed = [said for said in auditor(platform).violations(is_settled=True) if "is owed" in said]
    assert owed == []
    settle_next(platform, transfer=False)
    owed = [said for said in auditor(platform).violations(is_settled=True) if "is owed" in said]
    assert owed == ["[investor_payable:A] is owed [43790], and [None] of it is held: nobody pays the rest"]
