"""What left the house, read from where it arrived, and freed of the instants at which it did.

Every thing is a list of rows. Two runs of one checkout give equal rows; what would differ between them is taken out
here, and nothing else:

- instants: columns of type `timestamptz` keep only whether there is one; `CreDtTm` of a payment file; the `ts` of Slack
  messages, which are their places in the conversation instead; the part of a workbook that says when it was made.

And one thing that two checkouts must not have in common: the digest of the code, which stands in a day's workbook.
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.same import lab

Row = dict[str, Any]
Left = dict[str, list[Row]]

INSTANT = "(an instant)"
MESSAGES = "Slack messages"
CODE_VERSION = re.compile(r"(<t>code_version</t></si><si><t>)[0-9a-f]{64}")
"""As a workbook's table of texts has it: a label, and the value beside it."""
CREATED_AT = re.compile(rb"(<CreDtTm>)[^<]*(</CreDtTm>)")
COLUMNS = """
-- One row per column of a reporting view, in the view's own order.
select table_name, column_name, data_type = 'timestamp with time zone'
  from information_schema.columns where table_schema = 'reporting' order by table_name, ordinal_position
"""
FILES = """
-- One row per payment file; no reporting view has its bytes.
select file_id, content from ledger.payout_files order by file_id
"""


def of_databases(url: str) -> Left:
    """Return every reporting view row by row, and the payment files."""
    left: Left = {}
    with psycopg.connect(url) as connection:
        views: dict[str, dict[str, bool]] = {}
        for view, column, is_instant in connection.execute(COLUMNS):
            views.setdefault(view, {})[column] = is_instant
        for view, columns in views.items():
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            found = connection.execute(
                sql.SQL("select {} from {}").format(names, sql.Identifier("reporting", view))
            ).fetchall()
            left[f"reporting.{view}"] = [
                {
                    name: INSTANT if is_instant and value is not None else value
                    for (name, is_instant), value in zip(columns.items(), row, strict=True)
                }
                for row in found
            ]
        left["payment files"] = [
            {"file_id": file_id, "content": without_instant(content)} for file_id, content in connection.execute(FILES)
        ]
    return left


def without_instant(content: bytes) -> str:
    """Return the bytes of a payment file as text, without the instant of its creation; bytes that are no UTF-8 stay."""
    return CREATED_AT.sub(rb"\1\2", content).decode("utf-8", errors="backslashreplace")


def payments(bank: lab.Bank) -> list[Row]:
    """Return the bank's own record of the payments that it was sent: which, how often, and what became of them."""
    wanted = ("end_to_end_id", "amount", "currency", "status", "reason")
    return [{key: payment[key] for key in wanted if key in payment} for payment in bank.payments()]


def of_slack(store: Path) -> Left:
    """Return the messages as they are now, each under its place in its channel, and the files."""
    with closing(sqlite3.connect(store)) as connection:
        posted = connection.execute("select channel, ts, thread_ts, broadcast, body from messages order by channel, ts")
        messages = posted.fetchall()
        files = connection.execute("select name, title, content from files order by file_id").fetchall()
    places: dict[tuple[str, str], int] = {}
    in_channel: Counter[str] = Counter()
    for channel, ts, *_ in messages:
        in_channel[channel] += 1
        places[channel, ts] = in_channel[channel]
    return {
        MESSAGES: [
            {
                "channel": channel,
                "place": places[channel, ts],
                "replies_to": places.get((channel, thread_ts)),
                "broadcast": broadcast,
                **_said(body),
            }
            for channel, ts, thread_ts, broadcast, body in messages
        ],
        "files in Slack": [
            {"name": name, "title": title, "part": part, "content": text}
            for name, title, content in files
            for part, text in _parts(content)
        ],
    }


def _said(body: str) -> Row:
    said: Row = json.loads(body)
    said.pop("edited", None)  # when, and by the one who posts everything here
    for file in said.get("files", ()):
        file.pop("size")  # of a workbook, packed: the part that says when packs to a byte more or less
    return said


def _parts(content: bytes | None) -> Iterator[tuple[str | None, str | None]]:
    """Yield what a file holds: of a workbook each of its parts but for the one that says when, else the file."""
    if content is None:
        yield None, None
    elif not zipfile.is_zipfile(io.BytesIO(content)):
        yield None, content.decode("utf-8", errors="backslashreplace")
    else:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            for part in sorted(set(parts.namelist()) - {"docProps/core.xml"}):
                yield part, CODE_VERSION.sub(r"\1", parts.read(part).decode())
