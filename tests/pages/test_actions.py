"""What a person does in the pages: each action under the role of the pages, each refused to whoever may only look."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from typing import Any

import psycopg
import pytest
from fastapi.routing import APIRoute
from settlement.pages import actions

from tests.stages.spoken_bank import Entry, Spoken, camt053, spoken
from tests.stages.test_evidence import debits, worked_day

from .conftest import Pages, pages_here

__all__ = ["spoken"]
FILLED_IN = {
    "break_id": "1", "way": "answer", "on": "2026-02-16", "file_id": "F", "refund_id": "F1", "alert_id": "1",
}  # fmt: skip
FIELDS = {
    "seen": "1", "text": "x", "owner": "kim", "reason": "x", "target": "x",
}  # fmt: skip


@pytest.fixture
def lost(spoken: Spoken) -> Spoken:
    """The worked day at a bank that lost A's payout and kept 300 won on B's, with credits that nobody knows."""
    worked_day(spoken)
    spoken.source(
        "insert into core.loans values ('L8', 'KRW', '2026-01-15');"
        " insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R9', 'L8', '2026-02-19 12:00+09', 500, 'REF-R9')"
    )
    credits = [Entry(amount, ref=f"odd {amount}") for amount in (500, 700, 6000)]
    with_fee = Entry(-27036, e2e=spoken.e2e("B"))
    spoken.statement("2026-02-19", with_fee, *debits(spoken, "C"), *credits)
    for on in ("2026-02-20", "2026-02-23", "2026-02-24"):
        spoken.statement(on)
    spoken.hear("2026-02-25T05:00+09:00")
    spoken.at("2026-02-25T05:10+09:00")
    return spoken


def path_of(spoken: Spoken, amount: int) -> str:
    ((found,),) = spoken.rows("select break_id from ledger.breaks where amount = :amount", amount=amount)
    return f"/breaks/{found}"


def how_it_ended(spoken: Spoken, amount: int) -> list[tuple[str, str]]:
    return [
        (str(state), str(resolution))
        for state, resolution in spoken.rows(
            "select state, resolution from ledger.breaks where amount = :amount", amount=amount
        )
    ]


def test_each_action_is_done_once_by_whoever_may_and_by_two_where_the_policy_asks(lost: Spoken) -> None:
    pages = pages_here()
    is_refused_to_whoever_may_not_act(pages)
    a_line_is_matched_with_a_receipt(lost, pages)
    a_line_is_matched_with_a_payout(lost, pages)
    a_line_is_booked_once_by_two_operators_at_once(lost, pages)
    a_larger_one_is_booked_by_two_people(lost, pages)
    a_lost_payout_is_given_back_by_two_people(lost, pages)
    what_the_bank_found_is_answered_for_by_two_people(lost, pages)
    an_objection_is_answered_for_once(lost, pages)
    the_bank_is_asked_by_whoever_may_trigger_the_run(pages)
    assert lost.verify() == []


def is_refused_to_whoever_may_not_act(pages: Pages) -> None:
    maker, viewer = pages.of("maker"), pages.of("viewer")
    token = maker.hidden("/breaks/1")["token"]
    acting = [route.path for route in actions.router.routes if isinstance(route, APIRoute)]
    assert len(acting) == 11
    for template in acting:
        path = template.replace(":path", "").format(**FILLED_IN)
        files = {"statement": ("s.xml", b"x")} if path == "/bank/uploads" else None
        for who, status in ((viewer, 403), (pages.of(""), 401)):
            who.send(path, status=status, files=files, token=token, **FIELDS)
        for forged in ("", "forged"):
            maker.send(path, status=403, files=files, token=forged, **FIELDS)


def a_line_is_matched_with_a_receipt(lost: Spoken, pages: Pages) -> None:
    path = path_of(lost, 500)
    said = pages.of("maker").post(f"{path}/end/match", page=path, reason="phone", target="receipt:R8", status=409)
    assert "is not there, has its line already" in said
    pages.of("maker").post(f"{path}/end/match", page=path, reason="phone", target="receipt:R9")
    assert how_it_ended(lost, 500) == [("resolved", "matched with [R9] by hand: phone (maker)")]


def a_line_is_matched_with_a_payout(lost: Spoken, pages: Pages) -> None:
    path, payout = path_of(lost, -27036), lost.e2e("B")
    pages.of("maker").post(f"{path}/end/match", page=path, reason="their fee", target=f"payout:{payout}")
    assert how_it_ended(lost, -27036) == [("resolved", f"matched with [{payout}] by hand: their fee (maker)")]
    assert lost.payouts()[1] == ("B", 26736, 1, "booked")
    assert lost.balances()["bank_charges"] == 300


def a_line_is_booked_once_by_two_operators_at_once(lost: Spoken, pages: Pages) -> None:
    path = path_of(lost, 700)
    both = [(pages.of(name), pages.of(name).hidden(path)) for name in ("maker", "checker", "maker")]
    begin = Barrier(len(both))

    def book(place: int) -> int:
        browser, shown = both[place]
        begin.wait()
        fields = shown | {"reason": "interest", "target": "bank_interest"}
        answer = browser.client.post(
            f"/settlement{path}/end/book", headers={"x-test-user": browser.user}, data=fields, follow_redirects=False
        )
        return int(answer.status_code)

    with ThreadPoolExecutor(len(both)) as operators:
        assert sorted(operators.map(book, range(len(both)))) == [303, 409, 409]
    ((state, how),) = how_it_ended(lost, 700)
    assert (state, how.partition(" (")[0]) == ("resolved", "booked to bank_interest: interest")
    assert lost.balances()["bank_interest"] == -700


def a_larger_one_is_booked_by_two_people(lost: Spoken, pages: Pages) -> None:
    path, maker, checker = path_of(lost, 6000), pages.of("maker"), pages.of("checker")
    assert "6,000" in maker.post(f"{path}/end/book", page=path, reason="interest", target="bank_interest")
    assert "a second person has to decide" in maker.post(f"{path}/approve", page=path, status=409)
    pages.of("viewer").post(f"{path}/approve", page=path, status=403)
    stale = checker.hidden(path)
    checker.post(f"{path}/approve", page=path)
    assert "is not open" in checker.send(f"{path}/approve", status=409, **stale)
    assert how_it_ended(lost, 6000) == [("resolved", "booked to bank_interest: interest (maker and checker)")]
    assert lost.balances()["bank_interest"] == -6700


def a_lost_payout_is_given_back_by_two_people(lost: Spoken, pages: Pages) -> None:
    path = path_of(lost, -43790)
    pages.of("maker").post(f"{path}/end/absent", page=path, reason="the bank lost it")
    assert lost.payouts()[0] == ("A", 43790, 1, "accepted")
    pages.of("checker").post(f"{path}/approve", page=path)
    assert lost.payouts()[0] == ("A", 43790, 1, "rejected")
    assert lost.balances()["investor_payable:A"] == -43790


def what_the_bank_found_is_answered_for_by_two_people(lost: Spoken, pages: Pages) -> None:
    content = camt053("2026-02-25", lost.closing, lost.closing - 43790, debits(lost, "A"), name="S-found").encode()
    lost.at("2026-02-26T04:30+09:00")
    is_uploaded_by_hand(lost, pages, content)
    path = path_of(lost, 43790)
    pages.of("maker").post(f"{path}/end/answer", page=path, reason="the bank found it")
    pages.of("checker").post(f"{path}/approve", page=path)
    assert how_it_ended(lost, 43790) == [("resolved", "answered for: the bank found it (maker and checker)")]
    assert lost.payouts()[0] == ("A", 43790, 1, "booked")


def is_uploaded_by_hand(lost: Spoken, pages: Pages, content: bytes) -> None:
    """The statement came by mail: it waits, is taken in by the next run, and who brought it stays with it."""
    sent: dict[str, Any] = {"files": {"statement": ("../26 Feb.xml", content)}, "page": "/bank"}
    maker = pages.of("maker")
    assert "within 15 minutes" in maker.post("/bank/uploads", reason="by mail", **sent)
    assert "here already" in pages.of("checker").post("/bank/uploads", reason="by mail", status=409, **sent)
    maker.post("/bank/uploads", status=409, reason="x", page="/bank", files={"statement": ("empty.xml", b"")})
    assert "waits for the next run" in maker.get("/bank")
    assert lost.rows("select name, uploaded_by, reason, content from ledger.uploads") == [
        ("../26 Feb.xml", "maker", "by mail", content)
    ]
    lost.hear("2026-02-26T05:00+09:00")
    assert lost.rows("select business_date from ledger.statements where bank_name = 'S-found'") == [
        (date(2026, 2, 25),)
    ]
    assert "waits for the next run" not in maker.get("/bank")


def the_bank_is_asked_by_whoever_may_trigger_the_run(pages: Pages) -> None:
    assert "by your name" in pages.of("maker").post("/bank/ask?back=payouts", page="/bank")
    pages.of("checker").post("/bank/ask?back=bank", page="/bank", status=403)
    pages.of("maker").post("/bank/ask?back=elsewhere", page="/bank", status=404)
    assert pages.asked == ["maker"]


def an_objection_is_answered_for_once(lost: Spoken, pages: Pages) -> None:
    with psycopg.connect(lost.ledger_url.replace("+psycopg", "")) as books:
        books.execute("update ledger.days set state = 'failed'")
        books.execute("insert into ledger.objections values ('2026-02-16', 'usual_totals', 'much', now(), 'run-1')")
    maker, path = pages.of("maker"), "/gate/2026-02-16/override"
    assert "Clear the task take_in" in maker.post(path, page="/gate", reason="New Year")
    pages.of("checker").post(path, page="/breaks/1", reason="New Year", status=409)
    assert lost.rows("select overridden_by, reason from ledger.objections") == [("maker", "New Year")]
    with psycopg.connect(lost.ledger_url.replace("+psycopg", "")) as books:
        books.execute("update ledger.days set state = 'closed'")
    assert "sent again" in maker.post("/alerts/resend", page="/")
    maker.post("/alerts/99/acknowledge", page="/", status=409)
