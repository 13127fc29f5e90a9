"""Each query of the pages finds what it looks for by an index, however many days lie before it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
import sqlalchemy as sa

SQL = resources.files("settlement.pages").joinpath("sql")
QUERIES = sorted(file.name.removesuffix(".sql") for file in SQL.iterdir())
ASKED: dict[str, object] = {
    "account": "investor_payable:", "after": 0, "after_account": "", "after_date": "2026-02-12", "after_id": "",
    "amount": 1, "cause": "late_return", "chunk": 1, "currency": "KRW", "days": ["2026-02-12"], "first": "2026-02-01",
    "id": "x", "investors": ["x"], "kind": "investor", "kinds": ["payout"], "last": "2026-02-28", "limit": 100,
    "long_over": 7, "number": 1, "on": "2026-02-12", "over": 3, "payee": "x", "revision": 1, "sign": 1,
    "state": "booked", "text": "x",
}  # fmt: skip
OF_QUERIES: dict[str, dict[str, object]] = {
    "changes_by_investor": {"after": ""},
    "break": {"id": 1},
    "break_decisions": {"id": 1},
    "break_history": {"id": 1},
    "lines_of_statement": {"after": ""},
}
NEVER_LARGE = {"holds"}
"""Tables that do not grow with the days: what is held is held now."""
IN_ORDER = {
    "newest_day", "newest_certificate", "newest_statements", "statements", "files", "answered_questions",
    "breaks_ended", "uploads",
}  # fmt: skip
"""Queries of the newest of something: they read an index from its end, and stop."""


@pytest.fixture
def planning(settlement_db_url: str) -> Iterator[sa.Connection]:
    """A connection that plans as if every table were too large to be read whole."""
    engine = sa.create_engine(settlement_db_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for parent, part in (("shares", 1), ("postings", 0), ("postings", 1)):
            connection.exec_driver_sql(f"select ledger.ensure_partition('ledger.{parent}', '2026-02-12', {part})")
            connection.exec_driver_sql(f"select ledger.ensure_partition('ledger.{parent}', '2026-02-11', {part})")
        connection.exec_driver_sql("set local enable_seqscan = off")
        connection.exec_driver_sql("set local plan_cache_mode = force_custom_plan")
        yield connection
        connection.rollback()
    engine.dispose()


def plan(connection: sa.Connection, name: str) -> dict[str, Any]:
    text = SQL.joinpath(f"{name}.sql").read_text("utf-8")
    values = {key: value for key, value in (ASKED | OF_QUERIES.get(name, {})).items() if re.search(rf":{key}\b", text)}
    found = connection.execute(sa.text(f"explain (format json) {text}"), values).scalar_one()
    return dict((found if isinstance(found, list) else json.loads(found))[0]["Plan"])


def nodes(of: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield of
    for below in of.get("Plans", []):
        yield from nodes(below)


def test_no_query_reads_a_table_from_one_end_to_the_other(planning: sa.Connection) -> None:
    partial = set(
        planning.exec_driver_sql("select indexrelid::regclass::text from pg_index where indpred is not null").scalars()
    )
    read_whole = []
    for name in QUERIES:
        for node in nodes(plan(planning, name)):
            relation, index = node.get("Relation Name"), node.get("Index Name")
            is_partial = f"ledger.{index}" in partial
            if node["Node Type"] == "Seq Scan" and relation not in NEVER_LARGE:
                read_whole.append((name, relation))
            if index and "Index Cond" not in node and not is_partial and name not in IN_ORDER:
                read_whole.append((name, index))
    assert read_whole == []


def test_shares_and_postings_are_looked_for_in_the_leaves_of_the_dates_that_are_named(planning: sa.Connection) -> None:
    for name in QUERIES:
        leaves = {node["Relation Name"] for node in nodes(plan(planning, name)) if "Relation Name" in node}
        assert not [leaf for leaf in leaves if "20260211" in leaf], name
