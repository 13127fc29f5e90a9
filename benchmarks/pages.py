"""`python -m benchmarks.pages`: how long the operator's pages take on the books of two years, and what they read there.

The books are made in the server (`pages.sql`, `pages_of_date.sql`): so many dates of 1 000 payouts each, and five of
100 000, which are the newest date and the same weekday of the four weeks before it. The newest waits for its
approval, so Today and Approvals have all that such a date asks of them; one was settled again, every loan of it. Each
page is asked for in this process through the whole app; its first byte is its last, for a page is written whole. The
first time counts too: it is of a connection that has read nothing. What somebody may not see differs in names only,
so one visitor is enough.

`scanned` names every table that a page read from one end to the other, as the server counted it: of those that grow
with the days, none is the goal. The leaves of the date that was asked for are its own. `read` is how many rows of
tables and indexes the server read for a page, to find those that it shows.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
from fastapi import Request
from rich.console import Console
from rich.table import Table
from settlement import wiring
from settlement.adapters.ledger import migrate
from settlement.pages import app
from settlement.pages.screen import House
from settlement.pages.visitors import Visitor
from settlement_lab.servers import embedded

NEWEST = date(2026, 2, 12)
"""A Thursday; its weekday was a business day in each of the four weeks before."""
LARGE = [NEWEST - timedelta(weeks=week) for week in range(5)]
RESTATED = LARGE[2]
"""A large date of which every loan was run again."""
BOOKS, OF_DATE, AGAIN = (
    Path(__file__).with_name(name).read_text(encoding="utf-8").split(";\n")
    for name in ("pages.sql", "pages_of_date.sql", "pages_restated.sql")
)
DATES = """
create table public.dates (on_date date primary key, place integer, payouts integer, from_at timestamptz,
                           until_at timestamptz, is_newest boolean, entries bigint)
"""
FEW = 2_000
"""A table of no more rows is read as fast whole as by an index."""
SCANS = """
select s.relname from pg_stat_all_tables s join pg_class c on c.oid = s.relid
 where s.schemaname = 'ledger' and s.seq_scan > 0 and c.reltuples > %s
   and not s.relname like any (%s)
"""
READ = """
select (select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) from pg_stat_all_tables where schemaname = 'ledger')
       + (select sum(idx_tup_read) from pg_stat_all_indexes where schemaname = 'ledger')
"""


def main() -> None:
    """Make the books, ask for every page, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.pages", description=__doc__)
    parser.add_argument("--days", type=int, default=500, help="settlement dates, the large ones among them")
    parser.add_argument("--payouts", type=int, default=1_000, help="payouts of a date, a multiple of ten")
    parser.add_argument("--large", type=int, default=100_000, help="payouts of each of the five large dates")
    parser.add_argument("--times", type=int, default=20, help="how often each page is asked for")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="pages-") as folder,
        embedded.running(Path(folder), durable=False) as server,
    ):
        server.create_database("ledger", owner="settlement")
        migrate.migrate(server.url("ledger", user="settlement"))
        seconds = make(server.url("ledger", user=embedded.SUPERUSER, driver="postgresql"), asked)
        print(f"books made in {seconds:.0f} s (load average {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
        os.environ["SETTLEMENT_NOW"] = f"{NEWEST + timedelta(days=1)}T07:00+09:00"
        extra = {"url": server.url("ledger", user="settlement")}
        os.environ["AIRFLOW_CONN_SETTLEMENT_DB"] = json.dumps({"conn_type": "generic", "extra": extra})
        found = asyncio.run(
            measure(server.url("ledger", user=embedded.SUPERUSER, driver="postgresql"), asked.large, asked.times)
        )
    if asked.json:
        print(json.dumps({"asked": vars(asked), "load_average": os.getloadavg()[0], "pages": found}, indent=2))
    else:
        Console().print(_table(found))


def make(url: str, asked: argparse.Namespace) -> float:
    """Write the books; return the seconds that it took."""
    start = time.perf_counter()
    calendar = wiring.calendar_of(wiring.load_policy())
    dates = calendar.days_between(NEWEST - timedelta(days=2 * asked.days + 30), NEWEST)[-asked.days :]
    rows, entries = [], 0
    for place, on in enumerate(dates):
        payouts = asked.large if on in LARGE else asked.payouts
        window = calendar.window(on)
        rows.append((on, place, payouts, window.from_at, window.until_at_exclusive, on == NEWEST, entries))
        entries += 2 * (payouts // 10) + 2 * payouts
    with psycopg.connect(url, autocommit=True) as books:
        books.execute("set session_replication_role = replica")
        books.execute("set work_mem = '256MB'")
        books.execute(DATES)
        books.cursor().executemany("insert into public.dates values (%s, %s, %s, %s, %s, %s, %s)", rows)
        for statement in BOOKS:
            books.execute(statement)
        books.execute("create index on public.receipts (on_date)")
        books.execute("create index on public.payees (on_date)")
        books.execute("analyze public.receipts, public.payees")
        for on in dates:
            leaves = {
                "shares": f"ledger.shares_{on:%Y%m%d}_1",
                "computed": f"ledger.postings_{on:%Y%m%d}_1",
                "moved": f"ledger.postings_{on:%Y%m%d}_0",
            }
            for statement in OF_DATE:
                books.execute(statement.format(on=f"date '{on}'", **leaves))
            for statement in AGAIN if on == RESTATED else ():
                books.execute(statement.format(on=f"date '{on}'", again=f"ledger.shares_{on:%Y%m%d}_2", **leaves))
        books.execute("drop table public.payees, public.receipts, public.dates")
        books.execute("vacuum analyze")
        books.execute("checkpoint")
    return time.perf_counter() - start


def pages(payouts: int) -> dict[str, str]:
    """Return the paths that are asked for, by what they show; where they are of a date, it has so many payouts."""
    large, small, middle = LARGE[1], NEWEST - timedelta(days=1), f"{LARGE[1]:%Y%m%d}-{payouts // 2:06}"
    rows = f"/day/{large}/rows/{{}}?currency=KRW"
    return {
        "today": "/",
        "calendar": "/calendar",
        "calendar, a year before": f"/calendar?until={NEWEST.year - 1}-{NEWEST.month:02}",
        "day of 1 000": f"/day/{small}",
        "day of 100 000": f"/day/{large}",
        "day that waits": f"/day/{NEWEST}",
        "day that was restated": f"/day/{RESTATED}",
        "what it changed, by investor": f"/day/{RESTATED}/changes/2",
        "what it changed, far on": f"/day/{RESTATED}/changes/2?after={quote(f'I{payouts // 2:06} KRW')}",
        "rows of received": rows.format("received"),
        "rows of fees": rows.format("fee"),
        "rows of distributed": rows.format("distributed"),
        "payouts": "/payouts",
        "payouts of a date": f"/payouts?on={large}",
        "payouts, unknown": "/payouts?state=unknown",
        "payouts, booked, of a date": f"/payouts?state=booked&on={small}",
        "payouts, rejected": "/payouts?state=rejected",
        "payouts, far back": f"/payouts?after={quote(f'{small.year - 1}-03-03 P')}",
        "payout": f"/payouts/P-{middle}",
        "breaks": "/breaks",
        "breaks of a cause": "/breaks?cause=unknown_at_bank",
        "breaks that ended": "/breaks?ended=1",
        "breaks that ended, of no cause": "/breaks?ended=1&cause=late_return",
        "break": "/breaks/20",
        "trace": "/trace?q=nothing",
        "trace an end-to-end id": f"/trace?q=E-{middle}",
        "repayment": f"/trace/repayment/R-{LARGE[1]:%Y%m%d}-{payouts // 20:06}",
        "loan": "/trace/loan/L000050",
        "investor": "/trace/investor/I000050",
        "why this amount": f"/trace/investor/I000050?on={large}",
        "line": f"/trace/line/S-{middle}",
        "approvals and gate": "/gate",
        "statements and files": "/bank",
        "statement": f"/bank/statements/S-{LARGE[1]:%Y%m%d}",
        "payment file": f"/bank/files/F-{LARGE[1]:%Y%m%d}-1",
        "certificate": "/certificate/10",
    }


async def measure(url: str, payouts: int, times: int) -> list[dict[str, Any]]:
    """Ask for each page so often; return what it took, in milliseconds, and what the server read for it."""
    policy = wiring.load_policy()
    house = House(
        policy=policy, calendar=wiring.calendar_of(policy), engine=wiring.operators_engine(), secret=b"benchmark"
    )

    async def door(request: Request) -> Visitor:
        return Visitor(name="benchmark", may_act=True)

    transport = httpx.ASGITransport(app.make(lambda: house, door=door), raise_app_exceptions=False)
    found = []
    async with httpx.AsyncClient(transport=transport, base_url="http://pages", follow_redirects=True) as client:
        with psycopg.connect(url, autocommit=True) as books:
            for name, path in pages(payouts).items():
                house.engine.dispose()
                books.execute("select pg_stat_reset()")
                taken = []
                for _ in range(times):
                    start = time.perf_counter()
                    answer = await client.get(path)
                    taken.append(1000 * (time.perf_counter() - start))
                    if answer.status_code != 200:
                        raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text[-600:]}")
                house.engine.dispose()  # a server process counts what it read when it ends
                time.sleep(0.1)
                scanned = books.execute(SCANS, [FEW, [f"%{on:%Y%m%d}%" for on in LARGE]]).fetchall()
                ((read,),) = books.execute(READ).fetchall()
                page = {"page": name, "median": round(statistics.median(taken), 1), "worst": round(max(taken), 1)}
                size = {"bytes": len(answer.content), "read": int(read) // times}
                found.append(page | size | {"scanned": sorted(row[0] for row in scanned)})
    house.engine.dispose()
    return found


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(title="The first byte of each page, in milliseconds")
    for column in ("", "median", "worst", "kB", "rows read"):
        table.add_column(column, justify="right" if column else "left")
    table.add_column("scanned")
    for row in found:
        table.add_row(
            row["page"], f"{row['median']:.0f}", f"{row['worst']:.0f}", f"{row['bytes'] / 1000:.0f}",
            f"{row['read']:,}", ", ".join(row["scanned"]),
        )  # fmt: skip
    return table


if __name__ == "__main__":
    main()
