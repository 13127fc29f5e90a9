"""Statements and files: what the bank said and what was sent to it, byte for byte."""

from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from settlement.pages import levels
from settlement.pages.query import ROWS
from settlement.pages.screen import Screen, Shown

router = APIRouter()


@router.get("/bank")
def bank(shown: Shown, done: str = "") -> Response:
    """Show the chain of statements with its gaps, messages that could not be used, uploads, and payment files."""
    with shown.reading() as query:
        read: dict[str, Any] = {
            "statements": query.rows("statements", limit=ROWS),
            "messages": query.rows("unusable_messages", limit=ROWS),
            "files": query.rows("files", limit=ROWS),
            "uploads": query.rows("uploads"),
        }
    return shown.show("bank", done=done, limit=ROWS, levels=levels, **read)


@router.get("/bank/statements/{statement_id:path}")
def statement(shown: Shown, statement_id: str, after: str = "") -> Response:
    """Show a statement's lines, and what each is."""
    with shown.reading() as query:
        found = query.row("statement", id=statement_id)
        if found is None:
            raise HTTPException(404)
        lines = query.rows("lines_of_statement", id=statement_id, after=after, limit=ROWS)
    return shown.show("statement", statement=found, lines=lines, limit=ROWS)


@router.get("/bank/messages/{sha256}/bytes")
def message(shown: Shown, sha256: str) -> Response:
    """Return a message as the bank sent it."""
    _require_acting(shown)
    with shown.reading() as query:
        found = query.row("message_bytes", id=sha256)
    if found is None:
        raise HTTPException(404)
    return shown.download(found["name"], bytes(found["content"]))


@router.get("/bank/files/{file_id}")
def file(shown: Shown, file_id: str, done: str = "") -> Response:
    """Show a payment file: each time that it was handed over, with the bank's answer, and what is in it."""
    with shown.reading() as query:
        found = query.row("file", id=file_id)
        if found is None:
            raise HTTPException(404)
        read: dict[str, Any] = {
            "transmissions": query.rows("transmissions", id=file_id),
            "payouts": query.rows("payouts_of_file", id=file_id, limit=ROWS),
        }
    return shown.show("file", done=done, file=found, limit=ROWS, levels=levels, **read)


@router.get("/bank/files/{file_id}/bytes")
def file_bytes(shown: Shown, file_id: str) -> Response:
    """Return a payment file as it was sent."""
    _require_acting(shown)
    with shown.reading() as query:
        found = query.row("file_bytes", id=file_id)
    if found is None:
        raise HTTPException(404)
    return shown.download(f"{file_id}.xml", bytes(found["content"]))


def _require_acting(shown: Screen) -> None:
    """Raises HTTPException: 403, the bytes hold names and account numbers, which only those who act may see."""
    if not shown.visitor.may_act:
        raise HTTPException(403, shown.words("errors.holds_names"))
