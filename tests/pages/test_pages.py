"""The operator's pages on the worked day: every page in both languages, who may do what, and what becomes of it."""

from __future__ import annotations

import ast
import html
import inspect
import io
import re
import tomllib
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa
from settlement import wiring
from settlement.domain import breaks as domain_breaks
from settlement.domain.bank.matching import close, exact, references, sums
from settlement.domain.breaks import Way
from settlement.pages import actions, day, forms, runs
from settlement.pages.words import FOLDER, LANGUAGES, Words
from settlement.ports.days import RunRequest
from settlement.stages import breaks as stage_breaks
from settlement.stages import (
    compute,
    day_report,
    extract,
    gate,
    inquire,
    open_day,
    reconcile,
    refunds,
    report,
    take_in,
)

from tests.stages.conftest import Platform
from tests.stages.payout_stories import worked_day

from .conftest import Pages

HOSTILE = "<script>alert(1)</script>"
ON = "2026-02-16"
CHANGED = re.compile(r'on=2026-02-16">(\w+)</a></td><td>KRW</td>' + 6 * r'<td class="number">([^<]*)</td>')


@pytest.fixture
def settled(platform: Platform) -> Platform:
    """The worked day, settled, and a credit of 7 000 won at the bank that nobody knows."""
    worked_day(platform)
    platform.settle(ON, at="2026-02-17T06:00+09:00")
    platform.bank.receive(reference=HOSTILE, amount=7000, on=date(2026, 2, 19), payer=HOSTILE)
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-23T06:00+09:00"))
    return platform


def unknown(platform: Platform) -> int:
    """The break of the credit that nobody knows."""
    ((found,),) = platform.rows("select break_id from ledger.breaks where cause = 'unknown_at_bank'")
    return int(found)


def paths(platform: Platform) -> list[str]:
    """Every page that there is of the worked day."""
    payout, file_id = platform.rows("select payout_id, file_id from ledger.payouts order by payee_id limit 1")[0]
    statement, line = platform.rows(
        "select statement_id, line_id from ledger.statement_lines order by line_id limit 1"
    )[0]
    totals = [
        f"/day/{ON}/rows/{name}?currency=KRW"
        for name in ("received", "distributed", "fee", "vat", "national_tax", "local_tax", "cost", "credit")
    ]
    return [
        "/", "/calendar", "/calendar?until=2025-06", f"/day/{ON}", *totals, "/payouts", "/payouts?state=booked",
        f"/payouts?on={ON}", f"/payouts/{payout}", "/breaks", "/breaks?ended=1",
        "/breaks/1", f"/breaks/{unknown(platform)}", "/trace", "/trace?q=nothing",
        "/trace/repayment/R1", "/trace/loan/L1", "/trace/investor/A", f"/trace/investor/A?on={ON}",
        f"/trace/line/{line}",
        "/gate", "/bank", f"/bank/statements/{statement}", f"/bank/files/{file_id}", "/certificate/1",
        "/of/another_dag",
    ]  # fmt: skip


def test_every_page_is_shown_to_whoever_may_look_in_both_languages_and_to_nobody_else(
    settled: Platform, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = pages.of("viewer")
    for path in paths(settled):
        for language in ("ko", "en"):
            text = viewer.get(path, language=language)
            assert f'<html lang="{language}">' in text
            assert HOSTILE not in text
            assert 'method="post"' not in text, "who may only look is shown no form"
        assert "<h1>" in pages.of("").get(path, status=401)
    for path in ("/static/page.css", "/static/none", "/nothing", "/docs", "/openapi.json"):
        pages.of("").get(path, status=401)
    for path in (
        "/static/none",
        "/nothing",
        "/docs",
        "/openapi.json",
        "/day/2026-02-12",
        "/breaks/99",
        "/payouts?state=x",
    ):
        viewer.get(path, status=404)
    assert "Korean New Year" in viewer.get("/day/2026-02-17", status=404)

    says_what_the_worked_day_came_to(settled, pages)
    shows_names_and_bytes_to_those_who_may_act(settled, pages)
    keeps_files_whole(pages)
    finds_ids(settled, pages)
    hands_out_evidence_to_those_who_may_act(pages)
    tells_what_a_dry_run_would_change(settled, pages)
    goes_on_where_a_list_ended_within_an_entry(pages, monkeypatch)


def says_what_the_worked_day_came_to(settled: Platform, pages: Pages) -> None:
    viewer = pages.of("viewer")
    assert "did not run by its deadline" in viewer.get("/")
    assert "language/ko?back=/payouts%3Fstate%3Dbooked" in viewer.get("/payouts?state=booked")
    day = viewer.get(f"/day/{ON}")
    for amount in ("95,000", "88,050"):
        assert amount in day
    assert "</span> 0</span>" in day, "nothing is left unexplained"
    for total in ("received", "distributed", "fee", "vat", "national_tax", "local_tax", "cost", "credit"):
        assert "as the day says" in viewer.get(f"/day/{ON}/rows/{total}?currency=KRW"), total
    assert "43,790" in viewer.get(f"/trace/investor/A?on={ON}")
    certificate = viewer.get("/certificate/1")
    assert 'Distributed to investors <span class="number">88,050</span>' in re.sub(r"\s+", " ", certificate)
    assert "&#34;" not in certificate, "nothing is shown as a program writes it"


def goes_on_where_a_list_ended_within_an_entry(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day, "ROWS", 1)
    viewer, more, shown = pages.of("viewer"), "?currency=KRW", 0
    while more:
        page = viewer.get(f"/day/{ON}/rows/distributed{more}")
        shown += page.count("investor_payable:")
        found = re.search(r'class="more"><a href="([^"]*)"', page)
        more = html.unescape(found[1]) if found else ""
    assert f"{shown} postings, 88,050 KRW in all" in page


def shows_names_and_bytes_to_those_who_may_act(settled: Platform, pages: Pages) -> None:
    payout, file_id = settled.rows("select payout_id, file_id from ledger.payouts where payee_id = 'A'")[0]
    assert "김하나" in pages.of("maker").get(f"/payouts/{payout}")
    assert "김하나" not in pages.of("viewer").get(f"/payouts/{payout}")
    assert "김하나" in pages.of("maker").get(f"/bank/files/{file_id}/bytes")
    pages.of("viewer").get(f"/bank/files/{file_id}/bytes", status=403)


def test_what_a_restatement_changed_is_shown_by_investor(
    platform: Platform, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked_day(platform)
    platform.settle(ON, at="2026-02-17T06:00+09:00")
    platform.source("update core.receivables set amount = 12000 where receivable_id = 'L1-1-I'")
    asked: dict[str, Any] = {"reason": "interest was 12000", "triggered_by": "maker"}
    platform.settle(ON, at="2026-02-17T09:00+09:00", run_id="run-2", **asked)
    viewer, path = pages.of("viewer"), f"/day/{ON}/changes/2"
    assert path in viewer.get(f"/day/{ON}")
    page = viewer.get(path)
    assert "interest was 12000" in page
    assert CHANGED.findall(page) == [
        ("A", "+1,000", "+88", "+150", "+762", "43,790", "44,552"),
        ("B", "+600", "+52", "0", "+548", "26,736", "27,284"),
        ("C", "+400", "+35", "+60", "+305", "17,524", "17,829"),
    ]
    assert "+1,615" in page, "what the day says of the revision is the sum"
    monkeypatch.setattr(day, "ROWS", 2)
    assert [row[0] for row in CHANGED.findall(viewer.get(path))] == ["A", "B"]
    assert [row[0] for row in CHANGED.findall(viewer.get(f"{path}?after=B%20KRW"))] == ["C"]
    assert viewer.get(f"{path}?kept=csv").count("\n") == 4
    assert "changed nothing" in viewer.get(f"/day/{ON}/changes/1")
    viewer.get(f"/day/{ON}/changes/3", status=404)
    says_that_money_is_taken_back(platform, pages)


def says_that_money_is_taken_back(platform: Platform, pages: Pages) -> None:
    with psycopg.connect(platform.ledger_url.replace("+psycopg", "")) as books:
        books.execute(
            "insert into ledger.approvals (approval_id, settlement_date, revision, payouts_sha256, payout_count,"
            " amounts, requested_at, expires_at) select '20260216-ab-R1', '2026-02-16', 2, repeat('ab', 32), 3,"
            " '{\"KRW\": 762}', now(), now() + interval '1 hour'"
        )
    for path in ("/", "/gate", f"/day/{ON}"):
        page = pages.of("viewer").get(path)
        assert "taking back what was paid" in page, path
        assert "3 payouts" not in page, path
    assert "The ten largest" not in pages.of("viewer").get("/gate")


def test_only_those_who_may_act_act_and_two_people_end_a_break_once(settled: Platform, pages: Pages) -> None:
    maker, viewer = pages.of("maker"), pages.of("viewer")
    says_in_korean_what_is_kept_in_english(settled, pages)
    token = maker.hidden("/breaks/1")["token"]
    viewer.send("/breaks/1/comment", status=403, token=token, seen="1", text="x")
    maker.send("/breaks/1/comment", status=403, seen="1", text="x")
    maker.send("/breaks/1/comment", status=403, token="forged", seen="1", text="x")
    maker.send("/breaks/1/comment", status=403, token=token, seen="1", text="x", origin="https://elsewhere.example")
    pages.of("checker").send("/breaks/1/comment", status=403, token=token, seen="1", text="x")
    pages.of("").send("/breaks/1/comment", status=401, token=token, seen="1", text="x")
    assert settled.rows("select what from ledger.break_history where by <> 'settlement'") == [("comment: x",)]
    is_taken_on_and_ended_by_two_people(settled, pages)
    makes_no_payout()


def is_taken_on_and_ended_by_two_people(settled: Platform, pages: Pages) -> None:
    path = f"/breaks/{unknown(settled)}"
    maker, checker = pages.of("maker"), pages.of("checker")
    stale = maker.hidden(path)
    assert "Assigned." in maker.post(f"{path}/assign", page=path, owner=HOSTILE, due_on="2026-02-27")
    assert "has moved on since you saw it" in maker.send(f"{path}/assign", status=409, owner="maker", **stale)
    assert HOSTILE not in maker.post(f"{path}/comment", page=path, text=HOSTILE)
    maker.post(f"{path}/end/write_off", page=path, reason="nobody knows it")
    assert "cannot approve" in maker.get(path)
    maker.post(f"{path}/approve", page=path, status=409)
    assert "Approved." in checker.post(f"{path}/approve", page=path)
    assert settled.rows("select state, owner from ledger.breaks where amount = 7000") == [("written_off", HOSTILE)]
    assert settled.rows("select requested_by, decided_by from ledger.break_decisions") == [("maker", "checker")]
    assert settled.rows("select amount from ledger.balances where account = 'suspense'") in ([], [(0,)])


def makes_no_payout() -> None:
    for table in ("payouts", "payout_files", "transmissions", "allocations", "shares", "approvals", "certificates"):
        with (
            wiring.operators_engine().connect() as connection,
            pytest.raises(sa.exc.ProgrammingError, match="permission"),
        ):
            connection.exec_driver_sql(f"insert into ledger.{table} default values")


def keeps_files_whole(pages: Pages) -> None:
    viewer = pages.of("viewer")
    payouts = viewer.get("/payouts?kept=csv")
    assert payouts.count("\n") == 4
    assert "43790" in payouts
    assert "unknown_at_bank" in viewer.get("/breaks?kept=csv")
    report = pages.client.get(f"/settlement/day/{ON}/report.xlsx", headers={"x-test-user": "viewer"})
    assert report.content[:2] == b"PK"


def hands_out_evidence_to_those_who_may_act(pages: Pages) -> None:
    path = f"/evidence.zip?first={ON}&last={ON}"
    pages.of("viewer").get(path, status=403)
    pages.of("maker").get("/evidence.zip?first=2026-01-01&last=2026-01-31", status=404)
    answer = pages.client.get(f"/settlement{path}", headers={"x-test-user": "maker"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["certificates.jsonl", "rows-1.jsonl"]
    assert "Evidence (ZIP)" in pages.of("maker").get(f"/day/{ON}")
    assert "Evidence (ZIP)" in pages.of("maker").get("/calendar?until=2026-02")


def tells_what_a_dry_run_would_change(settled: Platform, pages: Pages) -> None:
    now = settled.at("2026-02-23T06:00+09:00")
    with settled.services() as services:
        asked = RunRequest(settlement_date=date(2026, 2, 19), run_id="dry", dry_run=True)
        run = open_day.open_day(services, asked, now=now)
        extract.freeze_inputs(services, run, now=now)
        report.report(services, run, computed=compute.distribute(services, run, now=now), now=now)
    page = pages.of("viewer").get("/day/2026-02-19", status=404)
    assert "Dry runs: what would change" in page
    assert "The date would be settled." in page


def finds_ids(settled: Platform, pages: Pages) -> None:
    viewer = pages.of("viewer")
    payout, end_to_end = settled.rows("select payout_id, end_to_end_id from ledger.payouts where payee_id = 'A'")[0]
    assert "Why this amount" in viewer.get(f"/trace?q={payout}")
    both = viewer.get(f"/trace?q={end_to_end}")
    assert f"/settlement/payouts/{payout}" in both
    assert "/settlement/trace/line/" in both
    assert "Whose shares" in viewer.get("/trace?q=R1")
    assert "Side by side" in viewer.get("/trace?q=1")
    assert "The money bridge" in viewer.get(f"/trace?q={ON}")
    assert "The money bridge" in viewer.get("/of/daily_settlement/run-1")


def test_both_catalogues_have_the_same_words_with_the_same_places_and_templates_use_no_others() -> None:
    ko, en = (tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8")) for name in ("ko", "en"))
    places = {
        name: {
            (part, key, tuple(sorted(re.findall(r"{\w+}", text))) if part != "told" else ())
            for part, keys in said.items()
            for key, text in keys.items()
        }
        for name, said in (("ko", ko), ("en", en))
    }
    assert places["ko"] == places["en"]
    for key, text in ko["told"].items():
        assert set(re.findall(r"{\w+}", text)) <= set(re.findall(r"{\w+}", en["told"][key])), key
    for template in (Path(FOLDER).parent / "templates").glob("*.html"):
        for part, key in re.findall(r't\("(\w+)\.(\w+)"[,)]', template.read_text("utf-8")):
            assert key in en[part], (template.name, part, key)


def refusals(module: ModuleType, *names: str) -> Iterator[str]:
    """Yield every refusal that a module raises, or some functions of it, with x for what differs."""
    for part in ast.parse(inspect.getsource(module)).body:
        for node in ast.walk(part) if not names or getattr(part, "name", "") in names else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused":
                yield from sentences(node.args[0])


def sentences(node: ast.expr | None) -> Iterator[str]:
    """Yield a sentence as the source has it, with x for what differs in it; nothing of what is no text."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "x" for one in parts)


def named(module: ModuleType, *names: str) -> Iterator[str]:
    """Yield every text that a module gives as an argument or a variable of one of these names."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.keyword) and node.arg in names:
            yield from sentences(node.value)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in names:
            shapes = node.value.value if isinstance(node.value, ast.Subscript) else node.value
            for value in shapes.values if isinstance(shapes, ast.Dict) else [shapes]:
                yield from sentences(value)


def test_every_refusal_of_what_a_person_does_in_the_pages_is_said_in_korean() -> None:
    korean = Words(language="ko", zone=ZoneInfo("Asia/Seoul"))
    found = [text for module in (stage_breaks, refunds, day_report, actions, runs) for text in refusals(module)]
    found += [*refusals(gate, "override"), *refusals(inquire, "declare_absent"), *refusals(take_in, "upload")]
    found.append(forms.WORDS)
    assert len(found) > 30
    assert [text for text in found if not re.search("[가-힣]", korean.told(text))] == []


def test_how_a_line_was_matched_is_said_in_korean() -> None:
    korean, english = (Words(language=language, zone=ZoneInfo("Asia/Seoul")) for language in LANGUAGES)
    modules = (exact, references, sums, close)
    said = {text for module in modules for text in named(module, "says", "explanation")}
    assert len(said) == 11
    assert [text for text in said if not re.search("[가-힣]", korean.told(text)) or english.told(text) != text] == []
    rules = {*exact.NAMES, *(text for module in modules for text in named(module, "rule"))}
    assert len(rules) == 14
    assert rules | {"by_hand", "written_off"} <= tomllib.loads((FOLDER / "ko.toml").read_text("utf-8"))["rules"].keys()
    how = "resolved: matched with [line N1] by tolerance: the line names [REF]; the difference of [30] is tolerated"
    assert english.told(how) == how
    assert korean.told(how) == (
        "해결: [line N1]와 허용 차이(으)로 대사: 거래에 [REF]이(가) 적혀 있고, 차이 [30]은(는) 허용 범위입니다"
    )


def says_in_korean_what_is_kept_in_english(settled: Platform, pages: Pages) -> None:
    english, korean = (Words(language=language, zone=ZoneInfo("Asia/Seoul")) for language in LANGUAGES[::-1])
    kept = [domain_breaks.why_gone(cause) for cause, _ in domain_breaks.WAYS]
    targets = {Way.ABSENT: "rejected", Way.ANSWER: "answered"}
    kept += [f"{said.format(targets.get(way, 'x'))}: phone (maker)" for way, said in stage_breaks.SAID.items()]
    for text in kept:
        assert english.told(text) == text
        assert re.search("[가-힣]", korean.told(text)), text
    assert korean.told("resolved: booked to fee_income: phone") == "해결: fee_income 계정에 기표: phone"
    assert korean.told("something else") == "something else"
    maker, path = pages.of("maker"), f"/breaks/{unknown(settled)}"
    stale = maker.hidden(path)
    maker.post(f"{path}/comment", page=path, text="x")
    maker.get("/", language="ko")
    assert "보신 뒤에 바뀌었습니다. [maker]: 메모: x." in maker.send(f"{path}/comment", status=409, text="y", **stale)
    assert "설날" in maker.get("/calendar?until=2026-02", language="ko")
