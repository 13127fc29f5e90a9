"""A settled date whose facts change is settled again: differences alone are posted and paid, and nothing by chance.

The worked day owes A 43 790, B 26 736 and C 17 524: of interest of 10 000 they get 3 790, 2 736 and 1 524 net.
The slow ones take half a minute.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from settlement import cli, wiring
from settlement.cli import app
from settlement.domain.errors import Refused, Unapproved
from settlement.ports.days import RunRequest
from settlement.ports.services import Services
from settlement.stages import close, compute, open_day, reconcile, take_back
from typer.testing import CliRunner

from .conftest import DAYS, Platform
from .payout_stories import NEXT, NEXT_MORNING, ON, balance, owed, settle, states, use_policy, worked_day

AGAIN = "2026-02-17T09:00+09:00"
DAY = date(2026, 2, 16)


@contextmanager
def services() -> Iterator[Services]:
    with wiring.services() as opened:
        yield opened


def interest_is(platform: Platform, amount: int) -> None:
    platform.source("update core.receivables set amount = :amount where receivable_id = 'L1-1-I'", amount=amount)


def everything(platform: Platform) -> list[list[tuple[object, ...]]]:
    tables = ("entries", "postings", "allocations", "shares", "revisions", "payouts", "replayed_loans", "snapshots")
    return [platform.rows(f"select * from ledger.{table} order by 1, 2, 3") for table in tables]


def test_more_interest_is_a_revision_that_posts_and_pays_the_difference(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 12_000)  # 4 552, 3 284 and 1 829 net

    said = platform.settle(ON, at=AGAIN, run_id="run-2", reason="interest was 12 000", triggered_by="maker")
    assert said["distribute"]["restated"] == {ON: 2}
    assert said["distribute"]["difference"] == {"KRW": 1615}
    assert said["distribute"]["taken_back"] == {}
    assert not said["report"]["already_settled"]
    assert platform.rows(
        "select revision, reason, requested_by, distributed_change, fee_change, vat_change, national_tax_change,"
        " local_tax_change, credit_change, received_change from reporting.revisions order by revision"
    ) == [
        (1, None, None, 88050, 800, 80, 980, 90, 5000, 95000),
        (2, "interest was 12 000", "maker", 1615, 160, 15, 190, 20, -2000, 0),
    ]
    assert platform.rows(
        "select revision, net_amount from reporting.shares where component = 'interest' order by 2"
    ) == [
        (2, 1829),
        (2, 3284),
        (2, 4552),
    ]
    assert platform.rows(
        "select net_amount from reporting.shares_all_revisions where component = 'interest' and revision = 1 order by 1"
    ) == [(1524,), (2736,), (3790,)]
    made = platform.rows("select revision, payee_id, amount from ledger.payouts order by revision, payee_id")
    assert made == [
        (1, "A", 43790), (1, "B", 26736), (1, "C", 17524), (2, "A", 762), (2, "B", 548), (2, "C", 305),
    ]  # fmt: skip
    assert owed(platform) == []

    same = everything(platform)
    again = platform.settle(ON, at=AGAIN, run_id="run-3")
    assert again["distribute"]["already"] == "computed"
    assert again["report"]["already_settled"]
    assert everything(platform) == same

    with services() as opened:
        reconcile.take_in_everything(opened, now=platform.at("2026-02-23T06:00+09:00"))
        assert close.verify(opened) == []
        assert close.replay(opened, DAY)["differs"] == []
    assert platform.rows("select state, revision from ledger.days where settlement_date = :on", on=ON) == [
        ("closed", 2)
    ]


def test_a_closed_day_that_is_settled_again_is_closed_again_by_a_certificate_of_its_own(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worked_day(platform)
    settle(platform)
    with services() as opened:
        reconcile.take_in_everything(opened, now=platform.at("2026-02-23T06:00+09:00"))
    assert platform.rows("select number, revision from ledger.certificates") == [(1, 1)]
    interest_is(platform, 12_000)

    platform.settle(ON, at="2026-02-23T09:00+09:00", run_id="run-2", reason="interest was 12 000")
    assert platform.rows("select cause from reporting.breaks where state = 'open'") == [("overpaid",)]
    assert platform.rows("select state from ledger.days") == [("settled_with_breaks",)]
    with services() as opened:
        reconcile.take_in_everything(opened, now=platform.at("2026-02-26T06:00+09:00"))
        assert close.verify(opened) == []
    assert platform.rows("select number, revision from ledger.certificates order by 1") == [(1, 1), (2, 2)]
    assert platform.rows("select state from ledger.days") == [("closed",)]

    former, said = (
        json.loads(body) for (body,) in platform.rows("select body from ledger.certificates order by number")
    )
    sha256 = platform.rows("select sha256 from ledger.certificates where number = 1")[0][0]
    assert (former["supersedes"], former["restatements"]) == (None, [])
    assert said["supersedes"] == {"number": 1, "revision": 1, "sha256": sha256}
    (restated,) = said["restatements"]
    assert (restated["revision"], restated["reason"]) == (2, "interest was 12 000")
    assert {name: change for name, change in restated["changes"]["KRW"].items() if change} == {
        "distributed_change": 1615, "fee_change": 160, "vat_change": 15, "national_tax_change": 190,
        "local_tax_change": 20, "credit_change": -2000,
    }  # fmt: skip
    capsys.readouterr()
    platform.monkeypatch.setattr(sys, "argv", ["settlement", "certify", ON, "--lang", "en"])
    with pytest.raises(SystemExit):
        cli.main()
    shown = capsys.readouterr().out
    assert f"It supersedes certificate 1 of revision 1, sha256 {sha256}" in shown
    assert "interest was 12 000" in shown

    # The month with its restatement is verified where there are no books; the reason of the revision is certified too.
    taken, forged = tmp_path / "2026-02.zip", tmp_path / "forged.zip"
    said = CliRunner().invoke(app, ["export", "2026-02-01", "2026-02-28", "--to", str(taken)])
    assert said.exit_code == 0, said.output
    for name in list(os.environ):
        if name.startswith("AIRFLOW_CONN_"):
            platform.monkeypatch.delenv(name)
    assert CliRunner().invoke(app, ["verify", "--from", str(taken)]).exit_code == 0
    with zipfile.ZipFile(taken) as whole, zipfile.ZipFile(forged, "w") as changed:
        for name in whole.namelist():
            changed.writestr(name, whole.read(name).replace(b"interest was 12 000", b"interest was 13 000"))
    told = CliRunner().invoke(app, ["verify", "--from", str(forged)])
    assert told.exit_code == 1
    assert "certificates 2 was changed" in told.output
    assert "revisions of certificate 2 (2026-02-16) is not what was certified" in told.output


def test_a_date_that_was_booked_and_became_a_holiday_before_it_paid_is_paid_by_its_own_run(
    platform: Platform, tmp_path: Path
) -> None:
    worked_day(platform)
    settle(platform, stop_after="distribute")
    closed = 'overrides = [{ date = 2026-02-16, business = false, reason = "announced late", by = "ops" }]'
    use_policy(platform, tmp_path, overrides=closed)
    settle(platform)
    assert states(platform) == [("A", 43790, 1, "accepted"), ("B", 26736, 1, "accepted"), ("C", 17524, 1, "accepted")]


def test_what_would_change_needs_a_reason_and_nothing_is_half_written(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 12_000)
    same = everything(platform)
    with pytest.raises(
        Refused, match=r"\[2026-02-16\] is settled and would change for loans \[L1\], and nobody said why"
    ):
        platform.settle(ON, at=AGAIN, run_id="run-2")
    assert everything(platform) == same


def test_a_dry_run_shows_each_difference_and_writes_nothing(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 12_000)
    same = everything(platform)
    with services() as opened:
        shown = compute.show_restatement(opened, DAY, now=datetime.fromisoformat(AGAIN))
    assert [(row["investor_id"], row["before"], row["after"], row["difference"]) for row in shown["changes"]] == [
        ("A", 43790, 44552, 762), ("B", 26736, 27284, 548), ("C", 17524, 17829, 305),
    ]  # fmt: skip
    assert shown["restated"] == {ON: 2}
    said = platform.settle(ON, at=AGAIN, run_id="run-dry", dry_run=True, stop_after="distribute")
    assert said["distribute"]["difference"] == {"KRW": 1615}
    assert said["distribute"]["owed"] == {"KRW": {"investors": 3, "amount": 1615}}
    assert everything(platform) == same


def test_what_takes_back_money_that_was_paid_needs_a_second_person(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 8_000)  # 3 038, 2 189 and 1 220 net
    same = everything(platform)
    with pytest.raises(Refused, match=r"takes back \[1603 KRW\] that was paid out, which needs a second person"):
        platform.settle(ON, at=AGAIN, run_id="run-2", reason="interest was 8 000", triggered_by="maker")
    assert everything(platform) == same

    now = datetime.fromisoformat(AGAIN)
    with services() as opened:
        with pytest.raises(Refused, match=r"\[maker\] is none of the policy's approvers \[checker\]"):
            take_back.approve(opened, DAY, by="maker", now=now)
        assert take_back.approve(opened, DAY, by="checker", now=now)["taken_back"] == {"KRW": 1603}
    with pytest.raises(Refused, match=r"\[checker\] asked for it and cannot approve it"):
        platform.settle(ON, at=AGAIN, run_id="run-3", reason="interest was 8 000", triggered_by="checker")
    said = platform.settle(ON, at=AGAIN, run_id="run-4", reason="interest was 8 000", triggered_by="maker")
    assert said["distribute"]["taken_back"] == {"KRW": 1603}
    assert [balance(platform, f"investor_payable:{who}") for who in "ABC"] == [752, 547, 304]
    assert states(platform) == [("A", 43790, 1, "accepted"), ("B", 26736, 1, "accepted"), ("C", 17524, 1, "accepted")]
    assert platform.rows(
        "select subject_id, amount from reporting.breaks where cause = 'investor_overdrawn' order by 1"
    ) == [
        ("A", 752), ("B", 547), ("C", 304),
    ]  # fmt: skip


def test_a_second_person_is_asked_and_answers_as_in_airflow(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 8_000)
    now = platform.at(AGAIN)
    request = RunRequest(settlement_date=DAY, run_id="run-2", reason="interest was 8 000", triggered_by="maker")
    with services() as opened:
        day = open_day.open_day(opened, request, now=now)
        with pytest.raises(Unapproved, match=r"takes back \[1603 KRW\]"):
            compute.distribute(opened, day, now=now)
        asked = take_back.ask(opened, day, triggered_by="maker", now=now)
        assert asked["approval_id"].endswith("-R1") and asked["approval_id"] in asked["body"]
        assert (asked["taken_back"], asked["approvers"]) == ({"KRW": 1603}, ["checker"])
        assert asked["subject"] == "2026-02-16 (월) 정산: 이미 지급된 ₩1,603을 회수할까요?"
        same = everything(platform)
        with pytest.raises(Refused, match=r"\[checker\] rejected what settling \[2026-02-16\] again takes back"):
            take_back.decide(opened, day, approved=False, by="checker", now=now)
        with pytest.raises(Refused, match="changed after it was put to a second person"):
            take_back.decide(opened, day, approved=True, by="checker", now=now)
        with pytest.raises(Unapproved):
            compute.distribute(opened, day, now=now)
        assert everything(platform) == same

        # Asked anew, the same is another question. Nobody answers it in time, and so there is a third.
        assert take_back.ask(opened, day, triggered_by="maker", now=now)["approval_id"].endswith("-R2")
        later = now + timedelta(hours=opened.policy.approval.timeout_hours, minutes=1)
        with pytest.raises(Refused, match="Nobody approved in time"):
            take_back.decide(opened, day, approved=False, by="timeout", now=later)
        assert take_back.ask(opened, day, triggered_by="maker", now=later)["approval_id"].endswith("-R3")
        with pytest.raises(Refused, match=r"\[maker\] triggered this run and cannot approve it"):
            take_back.decide(opened, day, approved=True, by="maker", now=later)
        assert take_back.decide(opened, day, approved=True, by="checker", now=later)["approved"]
        assert compute.distribute(opened, day, now=later)["taken_back"] == {"KRW": 1603}
    assert platform.rows("select right(approval_id, 3), decision, decided_by from ledger.approvals order by 1") == [
        ("-R1", "rejected", "checker"), ("-R2", "expired", "timeout"), ("-R3", "approved", "checker"),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_word_that_is_too_old_is_given_anew(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 8_000)
    with services() as opened:
        first = take_back.approve(opened, DAY, by="checker", now=platform.at(AGAIN))
        late = datetime.fromisoformat(first["expires_at"]) + timedelta(minutes=1)
    with pytest.raises(Refused, match="needs a second person's approval"):
        platform.settle(ON, at=late.isoformat(), run_id="run-2", reason="8 000", triggered_by="maker")
    with services() as opened:
        again = take_back.approve(opened, DAY, by="checker", now=late)
    assert (first["approval_id"][-3:], again["approval_id"][-3:]) == ("-R1", "-R2")
    said = platform.settle(ON, at=late.isoformat(), run_id="run-3", reason="8 000", triggered_by="maker")
    assert said["distribute"]["taken_back"] == {"KRW": 1603}


@pytest.mark.slow
def test_an_approval_is_of_one_restatement_and_not_of_the_same_one_later(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 8_000)
    with services() as opened:
        take_back.approve(opened, DAY, by="checker", now=datetime.fromisoformat(AGAIN))
    platform.settle(ON, at=AGAIN, run_id="run-2", reason="interest was 8 000", triggered_by="maker")
    interest_is(platform, 10_000)
    platform.settle(ON, at=AGAIN, run_id="run-3", reason="it was 10 000 after all", triggered_by="maker")
    interest_is(platform, 8_000)
    with pytest.raises(Refused, match=r"takes back \[1603 KRW\] that was paid out, which needs a second person"):
        platform.settle(ON, at=AGAIN, run_id="run-4", reason="it was 8 000", triggered_by="maker")


def test_a_date_that_is_settled_after_a_later_one_moves_what_that_one_took(platform: Platform) -> None:
    worked_day(platform)
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R2', 'L1', '2026-02-19 10:00+09', 5000, 'REF-R2')"
    )
    platform.bank.receive(reference="REF-R2", amount=5000, on=date(2026, 2, 19), payer="홍길동")
    platform.settle(NEXT, at=NEXT_MORNING, run_id="run-1", stop_after="distribute")
    # R2 alone pays half of the interest: 2 500, 1 500 and 1 000.
    assert platform.rows("select gross_amount from reporting.shares order by 1") == [(1000,), (1500,), (2500,)]

    said = platform.settle(ON, at=NEXT_MORNING, run_id="run-2", reason="it was passed over", stop_after="distribute")
    assert said["distribute"]["restated"] == {NEXT: 2}
    # R1 pays all that is due and holds 5 000, so R2 is held as well.
    assert platform.rows(
        "select settlement_date::text, sum(gross_amount)::bigint from reporting.shares group by 1 order by 1"
    ) == [(ON, 90000)]
    assert balance(platform, "borrower_credit:L1") == -10000
    with services() as opened:
        assert close.verify(opened) == []
    assert owed(platform) == [("A", 43790), ("B", 26736), ("C", 17524)]


def looks_back(platform: Platform, days: int) -> None:
    policy = Path(os.environ["SETTLEMENT_POLICY"]).read_text(encoding="utf-8")
    written = platform_folder(platform) / "policy.toml"
    written.write_text(f"{policy}\n[source]\nlook_back_days = {days}\n", encoding="utf-8")
    platform.monkeypatch.setenv("SETTLEMENT_POLICY", str(written))


def platform_folder(platform: Platform) -> Path:
    assert platform.bank.folder is not None
    return platform.bank.folder


@pytest.mark.slow
def test_what_a_later_date_has_tried_again_in_vain_is_tried_by_it_once_more_when_the_facts_are_mended(
    platform: Platform,
) -> None:
    worked_day(platform)
    platform.source("update core.receivables set component = 'penalty' where receivable_id = 'L1-1-I'")
    platform.settle(NEXT, at=NEXT_MORNING, run_id="run-1", transfer=False, stop_after="distribute")
    # The older date comes after it: R1 is kept back there, and no row of the later date says that it tried R1 too.
    platform.settle(ON, at=NEXT_MORNING, run_id="run-2", transfer=False, stop_after="distribute")
    assert platform.rows("select state from ledger.repayments") == [("quarantined",)]
    platform.settle(NEXT, at=NEXT_MORNING, run_id="run-3", transfer=False, reason="once more", stop_after="distribute")
    assert platform.rows("select count(*) from ledger.revisions") == [(2,)]

    platform.source("update core.receivables set component = 'interest' where receivable_id = 'L1-1-I'")
    said = platform.settle(
        NEXT, at=NEXT_MORNING, run_id="run-4", transfer=False, reason="mended", stop_after="distribute"
    )
    assert said["distribute"]["restated"] == {NEXT: 2}
    assert platform.rows("select state, settled_on::text from ledger.repayments") == [("settled", NEXT)]
    assert owed(platform) == [("A", 43790), ("B", 26736), ("C", 17524)]
    again = platform.settle(
        NEXT, at=NEXT_MORNING, run_id="run-5", transfer=False, reason="once more", stop_after="distribute"
    )
    assert again["distribute"]["already"] == "computed"


def test_what_lies_before_the_look_back_is_not_run_again(platform: Platform) -> None:
    looks_back(platform, 2)
    worked_day(platform)
    settle(platform, stop_after="distribute")
    platform.settle(NEXT, at=NEXT_MORNING, run_id="run-2", stop_after="distribute")
    interest_is(platform, 12_000)
    same = everything(platform)
    said = platform.settle(ON, at=NEXT_MORNING, run_id="run-3", reason="too late", stop_after="distribute")
    assert said["distribute"]["already"] == "computed"
    assert everything(platform) == same


def test_a_date_before_the_look_back_is_not_settled_after_later_ones(platform: Platform) -> None:
    looks_back(platform, 2)
    worked_day(platform)
    platform.settle(NEXT, at=NEXT_MORNING, run_id="run-1", stop_after="distribute")
    said = r"\[2026-02-16\] cannot be settled any more: it lies more than the policy's source.look_back_days \[2\]"
    with pytest.raises(Refused, match=said):
        platform.settle(ON, at=NEXT_MORNING, run_id="run-2", reason="too late", stop_after="distribute")


def test_a_date_without_money_is_restated_by_a_receipt_that_comes_late(platform: Platform) -> None:
    settle(platform, stop_after="distribute")
    assert platform.rows("select count(*) from ledger.day_totals") == [(0,)]
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))
    said = platform.settle(ON, at=AGAIN, run_id="run-2", reason="it came late", stop_after="distribute")
    assert said["distribute"]["restated"] == {ON: 2}
    assert said["distribute"]["difference"] == {"KRW": 88050}
    assert platform.rows("select revision, received_amount from reporting.settlement_days") == [(2, 95000)]
