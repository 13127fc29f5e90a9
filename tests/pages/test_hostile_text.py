"""Whatever anybody wrote, in whatever column, pages show as text, and files of them hold it as text."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from settlement import config, wiring
from settlement.pages import app
from settlement.pages.screen import House

from .conftest import Browser, door

HOSTILE = Path(__file__).with_name("hostile.sql").read_text("utf-8")
PLACES = set(re.findall(r"hostile\('([\w.]+)'\)", HOSTILE))
ON = "2026-02-12"
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def id_of(name: str) -> str:
    """The path of the page of an id of the story."""
    return quote(f"=<evil>\"'/{name}", safe="")


OURS = quote("=<evil>\"'F1", safe="")
PAGES = [
    "/", "/calendar?until=2026-02", f"/day/{ON}", f"/day/{ON}/rows/credit?currency=KRW",
    f"/day/{ON}/rows/distributed?currency=KRW", "/payouts", "/payouts?state=unknown", f"/payouts/{id_of('P1')}",
    f"/payouts/{id_of('P3')}", "/breaks", "/breaks?ended=1", "/breaks/1", "/breaks/2", "/breaks/3", "/breaks/4",
    "/breaks/5", f"/trace/repayment/{id_of('R1')}", f"/trace/loan/{id_of('L1')}", f"/trace/investor/{id_of('I1')}",
    f"/trace/investor/{id_of('I1')}?on={ON}", f"/trace/line/{id_of('N1')}", f"/trace/line/{id_of('N2')}",
    f"/trace?q={id_of('L1')}", "/trace?q=" + quote('<evil t="query">"\''), "/gate", "/bank",
    f"/bank/statements/{id_of('S1')}", f"/bank/files/{OURS}", "/certificate/1",
]  # fmt: skip


class Page(HTMLParser):
    """What a browser takes a page for: its elements, where they lead, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.leads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.leads += [value or "" for name, value in attrs if name in ("href", "src", "action", "hx-get")]
        self.text += " ".join(value or "" for name, value in attrs if name in ("value", "title", "aria-label"))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def operator(settlement_db_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """Somebody who may act, on books in which every text is hostile."""
    owner = settlement_db_url.replace("+psycopg", "").replace("settlement@", "postgres@")
    with psycopg.connect(owner) as books:
        books.execute("set session_replication_role = replica")
        books.execute(HOSTILE)
    monkeypatch.setenv("SETTLEMENT_NOW", "2026-02-13T09:00+09:00")
    monkeypatch.setenv("SETTLEMENT_POLICY", str(config.DEFAULT_POLICY))
    connection = {"conn_type": "generic", "extra": {"url": settlement_db_url}}
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_DB", json.dumps(connection))
    policy = wiring.load_policy()
    house = House(
        policy=policy, calendar=wiring.calendar_of(policy), engine=wiring.operators_engine(), secret=b"of this test"
    )
    airflow = FastAPI()
    airflow.mount("/settlement", app.make(lambda: house, door=door))
    with TestClient(airflow) as client:
        yield Browser(client=client, user="maker")
    house.engine.dispose()


def test_text_of_every_column_is_shown_as_text(operator: Browser) -> None:
    seen: set[str] = set()
    for path in PAGES:
        for language in ("ko", "en"):
            page = Page(operator.get(path, language=language))
            assert "evil" not in page.elements, path
            assert not {name for name in page.attributes if name.startswith("on")}, path
            assert all(lead.startswith(("/settlement/", "/dags/", "?", "#")) for lead in page.leads), (
                path,
                page.leads,
            )
        seen |= set(re.findall(r"""<evil onclick="x" id='([\w.]+)'>javascript:alert\(1\)\n\u202ereversed""", page.text))
    assert seen - PLACES == set()
    assert PLACES - seen == {"payout_files.content"}, "bytes are handed out as a file, and what else is there is shown"


LISTS = ["/payouts?", "/breaks?", "/breaks?ended=1&", f"/day/{ON}/rows/credit?currency=KRW&"]


def test_files_of_lists_hold_it_as_text(operator: Browser) -> None:
    for path in LISTS:
        rows = list(csv.reader(io.StringIO(operator.get(f"{path}kept=csv").removeprefix("\ufeff"), newline="")))
        assert any("<evil" in cell for row in rows for cell in row), path
        formulas = [cell for row in rows for cell in row if cell.startswith(FORMULAS)]
        assert [cell for cell in formulas if not re.fullmatch(r"-\d+", cell)] == []
        answer = operator.client.get(f"/settlement{path}kept=xlsx", headers={"x-test-user": "maker"})
        with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
            sheet, texts = (book.read(f"xl/{name}.xml").decode() for name in ("worksheets/sheet1", "sharedStrings"))
        assert "&lt;evil" in texts
        assert "<f>" not in sheet and "hyperlink" not in sheet


def test_bytes_are_never_shown(operator: Browser) -> None:
    answer = operator.client.get(f"/settlement/bank/files/{OURS}/bytes", headers={"x-test-user": "maker"})
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f"attachment; filename*=utf-8''{OURS}.xml"
    assert answer.headers["x-content-type-options"] == "nosniff"
