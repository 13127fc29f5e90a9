"""The pages in this process, on a platform of their own; whoever asks says who they are by a header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from settlement import wiring
from settlement.pages import app
from settlement.pages.screen import House
from settlement.pages.visitors import Visitor

from tests.stages.conftest import Platform, platform

__all__ = ["platform"]
ACTING = ("maker", "checker")


async def door(request: Request) -> Visitor:
    name = request.headers.get("x-test-user")
    if not name:
        raise HTTPException(401)
    return Visitor(name=name, may_act=name in ACTING, may_ask_bank=name == "maker")


def said(page: str) -> list[str]:
    """Return what a page of an error says."""
    return re.findall(r'(?s)class="said">(.*?)</p>', page)


@dataclass
class Browser:
    """Somebody's browser, with the pages where Airflow mounts them."""

    client: TestClient
    user: str

    def get(self, path: str, *, language: str = "en", status: int = 200) -> str:
        """Return the text of a page."""
        self.client.cookies.set("settlement_language", language)
        answer = self.client.get(f"/settlement{path}", headers={"x-test-user": self.user})
        assert answer.status_code == status, (path, answer.status_code, said(answer.text))
        return str(answer.text)

    def post(self, path: str, *, page: str, status: int = 200, **fields: Any) -> str:
        """Send a form as the page shows it, with the fields that somebody fills in."""
        return self.send(path, status=status, **self.hidden(page) | fields)

    def hidden(self, page: str) -> dict[str, Any]:
        """Return what the forms of a page carry."""
        shown = self.get(page)
        return {
            name: (re.search(rf'name="{name}" value="([^"]*)"', shown) or ["", ""])[1] for name in ("token", "seen")
        }

    def send(
        self,
        path: str,
        *,
        status: int = 200,
        origin: str | None = None,
        files: dict[str, tuple[str, bytes]] | None = None,
        **fields: str,
    ) -> str:
        headers = {"x-test-user": self.user}
        if origin:
            headers["origin"] = origin
        answer = self.client.post(f"/settlement{path}", headers=headers, data=fields, files=files)
        assert answer.status_code == status, (path, answer.status_code, said(answer.text))
        return str(answer.text)


@dataclass
class Pages:
    """The pages of one platform."""

    client: TestClient
    house: House
    asked: list[str]
    """Who had the bank asked."""

    def of(self, user: str) -> Browser:
        return Browser(client=self.client, user=user)


@pytest.fixture
def pages(platform: Platform) -> Pages:
    return pages_here()


def pages_here() -> Pages:
    """The pages of the settlement database that the environment names."""
    policy = wiring.load_policy()
    house = House(
        policy=policy, calendar=wiring.calendar_of(policy), engine=wiring.operators_engine(), secret=b"of this test"
    )
    airflow = FastAPI()
    asked: list[str] = []
    airflow.mount("/settlement", app.make(lambda: house, door=door, ask_bank=asked.append))
    return Pages(client=TestClient(airflow), house=house, asked=asked)
