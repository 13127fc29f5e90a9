"""The pages as one FastAPI app: every path needs a login, nothing comes from elsewhere, and an error is a page too."""

from collections.abc import Awaitable, Callable
from importlib import resources

import sqlalchemy as sa
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from settlement import config
from settlement.domain.commands import typed_as
from settlement.domain.errors import Refused, Unavailable
from settlement.pages import actions, bank, breaks, day, gate, months, payouts, today, trace
from settlement.pages.runs import Asking, ask_bank
from settlement.pages.screen import CHOSEN, House, Shown, screen, screen_of
from settlement.pages.visitors import Door, Visitor, of_airflow
from settlement.pages.words import LANGUAGES, Words

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
STATIC = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "htmx.min.js": "text/javascript",
}
NOBODY = Visitor(name="", may_act=False)


def make(house: Callable[[], House], *, door: Door = of_airflow, ask_bank: Asking = ask_bank) -> FastAPI:
    """Return the app; `house` is asked for at the first page, `door` at every one, the bank when somebody wants it."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(screen)])
    app.state.house, app.state.door, app.state.ask_bank = house, door, ask_bank
    for page in (today, months, day, payouts, breaks, trace, gate, bank, actions):
        app.include_router(page.router)
    app.add_api_route("/static/{name}", static)
    app.add_api_route("/language/{language}", choose_language)
    app.add_api_route("/{path:path}", nothing_there, methods=["GET", "POST"])
    app.middleware("http")(with_headers)
    for error in (
        StarletteHTTPException, RequestValidationError, Refused, Unavailable, sa.exc.OperationalError,
    ):  # fmt: skip
        app.add_exception_handler(error, failed)
    return app


async def with_headers(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Say with every answer that nothing of it is to be kept, or run, or framed elsewhere."""
    response = await answer(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


async def static(name: str) -> Response:
    """Return a file that pages are shown with."""
    if name not in STATIC:
        raise HTTPException(404)
    content = resources.files(__package__).joinpath("static", name).read_bytes()
    return Response(content, media_type=STATIC[name], headers={"cache-control": "private, max-age=600"})


async def choose_language(shown: Shown, language: str, back: str = "/") -> Response:
    """Keep the language that somebody chose, and show the page that they came from in it."""
    if language not in LANGUAGES or not back.startswith("/") or back.startswith(("//", "/\\")):
        raise HTTPException(404)
    response = RedirectResponse(f"{shown.base}{back}", status_code=303)
    response.set_cookie(CHOSEN, language, max_age=31_536_000, path=shown.base or "/", httponly=True, samesite="lax")
    return response


async def nothing_there() -> Response:
    """Say that there is no such page, to those who have logged in."""
    raise HTTPException(404)


async def failed(request: Request, error: Exception) -> Response:
    """Return what went wrong as a page: what it is, and what to do."""
    shown = screen_of(request, request.app.state.house(), NOBODY)
    status, said = _status(error, shown.words)
    return shown.show("error", status=status, title=shown.words.of("errors", f"{status}"), said=said)


def _status(error: Exception, words: Words) -> tuple[int, str]:
    if isinstance(error, Refused):
        return 409, typed_as(words.told(str(error)), config.command())
    if isinstance(error, Unavailable | sa.exc.OperationalError):
        return 503, words("errors.unavailable")
    if isinstance(error, StarletteHTTPException):
        standard = HTTPException(error.status_code).detail
        return error.status_code, "" if error.detail == standard else words.told(error.detail)
    return 404, ""
