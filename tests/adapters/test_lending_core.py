"""What of the source's views breaks the contract is named by relation, column and type, before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from settlement.adapters.lending_core import contract
from settlement.adapters.lending_core.source import PostgresLendingCore
from settlement.domain import frames
from settlement.domain.errors import Refused


def change(lending_core: Any, *statements: str) -> None:
    engine = sa.create_engine(lending_core.owner_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def refusal(lending_core: Any, *statements: str) -> str:
    change(lending_core, *statements)
    with pytest.raises(Refused) as refused, PostgresLendingCore(lending_core.url).snapshot():
        pass
    return str(refused.value)


def test_a_source_as_the_contract_has_it_is_read(lending_core: Any) -> None:
    with PostgresLendingCore(lending_core.url).snapshot() as source:
        assert source.loans(["L1"]).empty


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (
            ["alter table core.repayments alter column received_at type timestamp"],
            "[core.repayments.received_at] is of type [timestamp without time zone] and must be"
            " [timestamp with time zone]",
        ),
        (
            ["alter table core.notes alter column principal type numeric"],
            "[core.notes.principal] is of type [numeric] and must be [bigint]",
        ),
        (
            ["alter table core.receivables drop column due_on"],
            "[core.receivables] has no column [due_on]",
        ),
        (["drop table core.note_holdings"], "relation [core.note_holdings] is not there"),
        (
            ["alter table core.refunds alter column requested_at type timestamp"],
            "[core.refunds.requested_at] is of type [timestamp without time zone] and must be"
            " [timestamp with time zone]",
        ),
        (["alter table core.refunds drop column amount"], "[core.refunds] has no column [amount]"),
    ],
)
def test_what_differs_is_named(lending_core: Any, statements: Sequence[str], said: str) -> None:
    assert said in refusal(lending_core, *statements)


def test_ids_that_are_numbers_are_all_named_at_once(lending_core: Any) -> None:
    said = refusal(
        lending_core,
        "alter table core.receivables alter column receivable_id type bigint using 1",
        "alter table core.note_holdings drop constraint note_holdings_investor_id_fkey",
        "alter table core.investors alter column investor_id type bigint using 1",
    )
    assert "[core.investors.investor_id] is of type [bigint] and must be [text]" in said
    assert "[core.receivables.receivable_id] is of type [bigint] and must be [text]" in said
    assert "loan_id::text" in said


NOON = datetime.fromisoformat("2026-02-16T12:00+09:00")


def test_refunds_are_read_up_to_an_instant_and_a_source_may_have_none(lending_core: Any) -> None:
    change(
        lending_core,
        "insert into core.loans values ('L1', 'KRW', '2026-01-05')",
        "insert into core.refunds values ('F1', 'L1', 'KRW', 5, 'x', 'y', null, '2026-02-16 11:59:59+09'),"
        " ('F2', 'L1', 'KRW', 6, 'x', 'y', null, '2026-02-16 12:00+09'),"
        " ('F3', 'L1', 'KRW', 7, 'x', 'y', null, '-infinity')",
    )
    core = PostgresLendingCore(lending_core.url)
    with core.snapshot() as source:
        found = source.refunds(NOON)
    assert list(frames.rows(found, "refund_id", "loan_id", "currency", "amount", "requested_at")) == [
        ("F1", "L1", "KRW", 5, NOON - timedelta(seconds=1))
    ]
    change(lending_core, "drop table core.refunds")
    with core.snapshot() as source:
        none = source.refunds(NOON)
    assert (len(none), none.columns.tolist(), none.dtypes.tolist()) == (
        0,
        found.columns.tolist(),
        found.dtypes.tolist(),
    )
    assert core.payees([], ["F1"]).empty


def test_texts_of_a_certain_length_small_numbers_and_domains_are_read(lending_core: Any) -> None:
    change(
        lending_core,
        "create domain core.currency as text",
        "alter table core.loans alter column currency type core.currency",
        "alter table core.investors alter column name type varchar(40)",
        "alter table core.receivables alter column installment_no type smallint",
        "insert into core.loans values ('L1', 'KRW', '2026-01-05')",
    )
    with PostgresLendingCore(lending_core.url).snapshot() as source:
        assert source.loans(["L1"])["currency"].tolist() == ["KRW"]


def test_every_column_that_a_query_names_is_of_the_contract(lending_core: Any) -> None:
    engine = sa.create_engine(lending_core.owner_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        there = connection.exec_driver_sql(
            "select table_name || '.' || column_name from information_schema.columns where table_schema = 'core'"
        ).scalars()
        known = {name for name in there if name.split(".")[0] in contract.COLUMNS | contract.OPTIONAL}
    engine.dispose()
    every = contract.COLUMNS | contract.OPTIONAL
    wanted = {f"{relation}.{name}" for relation, columns in every.items() for name in columns}
    assert known - wanted == {"receivables.recorded_at", "repayments.recorded_at"}
    assert wanted <= known
