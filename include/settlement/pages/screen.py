"""One request for a page: who asks, in which language, and how the answer is written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated
from urllib.parse import quote
from zoneinfo import ZoneInfo

import jinja2
import sqlalchemy as sa
from fastapi import Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from settlement import config, wiring
from settlement.domain.alerts.expectations import Deadline
from settlement.domain.alerts.routing import Language
from settlement.domain.days import SettlementCalendar
from settlement.domain.errors import Refused
from settlement.domain.policy import Policy
from settlement.pages import forms
from settlement.pages.query import KEPT, Query, Row, reading
from settlement.pages.visitors import Visitor
from settlement.pages.words import LANGUAGES, Words

CHOSEN, OF_AIRFLOW = "settlement_language", "settlement_airflow_language"
"""The cookies of the language that somebody chose here, and of the one in which they have Airflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all pages stand on."""

    policy: Policy
    calendar: SettlementCalendar
    engine: sa.Engine
    secret: bytes

    @property
    def deadline(self) -> Deadline:
        """Return when settlement dates must be settled, by the policy."""
        return Deadline(settled_by=self.policy.deadlines.settled_by, timezone=self.policy.timezone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What one page is written with."""

    request: Request
    house: House
    visitor: Visitor
    words: Words
    now: datetime

    @property
    def base(self) -> str:
        """Where the pages are, as a path on this server."""
        return str(self.request.scope.get("root_path", ""))

    @contextmanager
    def reading(self) -> Iterator[Query]:
        """Open the settlement database for this page."""
        with reading(self.house.engine) as query:
            yield query

    def show(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Return a page."""
        token = forms.token(self.house.secret, self.visitor.name, now=self.now) if self.visitor.may_act else ""
        text = (
            _environment()
            .get_template(f"{template}.html")
            .render(values, screen=self, base=self.base, t=self.words, visitor=self.visitor, token=token, now=self.now)
        )
        return HTMLResponse(text, status_code=status)

    def table(self, name: str, rows: Sequence[Row], *, kind: str, title: str) -> Response:
        """Return rows as a file: a workbook in the language of the pages, or CSV, whose columns keep their names.

        Raises Refused: they are more than a file is made of.
        """
        if len(rows) > KEPT:
            raise Refused(self.words("errors.too_many", most=f"{KEPT:,}"))
        columns = tuple(str(name) for name in rows[0]) if rows else ("nothing",)
        cells = [tuple(row.values()) for row in rows]
        if kind == "xlsx":
            on, language = self.now.astimezone(self.words.zone).date(), self.words.language
            content = wiring.list_workbook(name, columns, cells, title=title, on=on, language=language)
            return self.download(f"{name}.xlsx", content)
        return self.download(f"{name}.csv", wiring.csv_table(columns, cells), kind="text/csv; charset=utf-8")

    def download(self, name: str, content: bytes, *, kind: str = "application/octet-stream") -> Response:
        """Return bytes to be kept as a file, never to be shown."""
        kept = {"content-disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}"}
        return Response(content, media_type=kind, headers=kept)

    def go(self, path: str) -> RedirectResponse:
        """Return the way to another page."""
        return RedirectResponse(f"{self.base}{path}", status_code=303)


def language_of(request: Request, policy: Policy) -> Language:
    """Return the language that somebody chose here, or else has Airflow in, or else the policy's."""
    for cookie in (CHOSEN, OF_AIRFLOW):
        for language in LANGUAGES:
            if request.cookies.get(cookie) == language:
                return language
    return policy.alerts.language


def screen_of(request: Request, house: House, visitor: Visitor) -> Screen:
    """Return what a page for this visitor is written with."""
    words = Words(language=language_of(request, house.policy), zone=ZoneInfo(house.policy.timezone))
    return Screen(request=request, house=house, visitor=visitor, words=words, now=config.now())


async def screen(request: Request) -> Screen:
    """Return what the page that is asked for is written with.

    Raises HTTPException: 401 nobody has logged in; 403 they may not look.
    """
    visitor = await request.app.state.door(request)
    return screen_of(request, request.app.state.house(), visitor)


async def acting(shown: Annotated[Screen, Depends(screen)], token: Annotated[str, Form()] = "") -> Screen:
    """Return the screen of somebody who does something by a form of ours.

    Raises HTTPException: 403 they may not act, or the form is not ours.
    """
    if not shown.visitor.may_act:
        raise HTTPException(403, shown.words("errors.may_not_act"))
    forms.check(shown.request, token, shown.house.secret, shown.visitor.name, now=shown.now)
    return shown


Shown = Annotated[Screen, Depends(screen)]
Acting = Annotated[Screen, Depends(acting)]


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("settlement.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
