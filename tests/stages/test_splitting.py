"""How a bank cuts its days into statements and files changes nothing: the same lines end in the same matches, breaks
and balances. Told with real books, and with statements that each prove themselves and follow each other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from settlement import wiring
from settlement.domain.bank import statement as statements
from settlement.domain.bank.messages import Message
from settlement.domain.bank.statement import Movement, Statement
from settlement.stages import prove, take_in
from settlement_lab.servers import embedded

ACCOUNT, OPENING = "KR23MOCK0000000099", 10_000
ON, NOON = date(2026, 2, 19), datetime.fromisoformat("2026-02-20T12:00+09:00")
POLICY = Path(__file__).parent.parent / "days" / "2026-02-16" / "policy.toml"
SOURCE = """
insert into core.loans values ('L1', 'KRW', '2026-01-15');
insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values
  ('R1', 'L1', '2026-02-19 09:00+09', 100, 'REF-R1'), ('R2', 'L1', '2026-02-19 09:00+09', 200, 'REF-R2'),
  ('R3', 'L1', '2026-02-19 09:00+09', 200, 'REF-R3'), ('R4', 'L1', '2026-02-19 09:00+09', 300, 'REF-R4')
"""

Cut = tuple[Movement, ...]


@dataclass(frozen=True)
class Heard:
    """What stands in the books when everything is taken in, by what lines say and not by what they are called."""

    matched: Counter[Any]
    breaks: Counter[Any]
    balances: dict[str, int]


@pytest.fixture
def hear(
    postgres: embedded.Server,
    migrated_template: str,
    lending_core: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Heard]:
    """Return a function that lets fresh books hear statements, some at each take-in, and says what stands in them."""
    engine = sa.create_engine(lending_core.owner_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(SOURCE)
    engine.dispose()
    extra = {"debtor_account": ACCOUNT, "debtor_name": "N", "debtor_agent": "MOCKKRSE", "currency": "KRW"}
    bank = {"conn_type": "http", "host": "127.0.0.1", "port": 9, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps(bank))
    monkeypatch.setenv(
        "AIRFLOW_CONN_LENDING_CORE", json.dumps({"conn_type": "generic", "extra": {"url": lending_core.url}})
    )
    monkeypatch.setenv("SETTLEMENT_SNAPSHOTS", str(tmp_path / "snapshots"))
    monkeypatch.setenv("SETTLEMENT_POLICY", str(POLICY))
    name = "splitting"

    def heard(take_ins: Sequence[Sequence[Statement]]) -> Heard:
        postgres.create_database(name, owner="settlement", template=migrated_template)
        try:
            url = postgres.url(name, user="settlement")
            monkeypatch.setenv(
                "AIRFLOW_CONN_SETTLEMENT_DB", json.dumps({"conn_type": "generic", "extra": {"url": url}})
            )
            for number, said in enumerate(take_ins):
                _take_in({f"{number}-{place}": one for place, one in enumerate(said)})
            return _stands(url)
        finally:
            postgres.drop_database(name)

    return heard


def _take_in(spoken: dict[str, Statement]) -> None:
    with wiring.services() as services:
        with services.ledger.books() as books:
            for name in spoken:
                books.bank_lines.keep_message(
                    Message.of(name.encode(), kind="camt.053", name=name), direction="in", now=NOON
                )
        reading = replace(services, read_message=lambda message: (spoken[message.name],))
        take_in.apply_new(reading, now=NOON)
        prove.prove_books(reading, as_of=ON, now=NOON)


def _stands(url: str) -> Heard:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    line = "l.amount, l.booking_date, l.reference, l.remittance"
    with engine.connect() as connection:

        def rows(sql: str) -> Iterator[tuple[Any, ...]]:
            return (tuple(row) for row in connection.exec_driver_sql(sql))

        found = Heard(
            matched=Counter(
                rows(
                    f"select {line}, m.subject_kind, m.subject_id, m.rule, m.amount, m.difference"
                    " from ledger.matches m join ledger.statement_lines l using (line_id)"
                )
            ),
            breaks=Counter(
                rows(
                    f"select b.cause, b.side, b.state, b.amount, b.opened_on, b.age_business_days, b.evidence::text,"
                    f" {line}, case when b.subject_kind <> 'line' then b.subject_id end"
                    " from ledger.breaks b left join ledger.statement_lines l on l.line_id = b.subject_id"
                    " where b.resolved_on is null"
                )
            ),
            balances=dict(rows("select account, amount from reporting.balances")),
        )
    engine.dispose()
    return found


def cut(*parts: Cut) -> list[Statement]:
    """Return the parts as statements of one day, each opening where the one before it closed."""
    made, opening = [], OPENING
    for number, part in enumerate(parts, start=1):
        closing = opening + sum(movement.amount for movement in part)
        made.append(
            statements.prove(
                statement_id=f"S-{number}-of-{len(parts)}",
                sequence=number,
                account=ACCOUNT,
                currency="KRW",
                business_date=ON,
                from_date=ON,
                to_date=ON,
                opening=opening,
                closing=closing,
                movements=part,
            )
        )
        opening = closing
    return made


def movement(amount: int, *, reference: str | None = None, remittance: str = "", number: int = 0) -> Movement:
    return Movement(
        booking_date=ON,
        value_date=ON,
        amount=amount,
        reference=reference,
        remittance=remittance,
        bank_reference=f"B{number}",
    )


TEXTS = ["", "REF-R1", "REF-R2", "ref r3", "REF-R4", "REF-R1 REF-R2", "L1", "RENT 12"]
some_movements = st.lists(
    st.tuples(st.sampled_from([100, 200, 300, 150, -70]), st.sampled_from(TEXTS), st.booleans(), st.integers(0, 2)),
    min_size=1,
    max_size=6,
)


@given(some_movements, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_statement_or_several_in_whatever_order_are_the_same_matches_and_breaks(
    hear: Callable[..., Heard], said: list[tuple[int, str, bool, int]], random: Any
) -> None:
    moved = [
        movement(amount, number=number, **{"reference" if is_reference else "remittance": text})
        for number, (amount, text, is_reference, _) in enumerate(said)
    ]
    parts = [tuple(m for m, (*_, part) in zip(moved, said, strict=True) if part == number) for number in range(3)]
    several = cut(*(part for part in parts if part))
    random.shuffle(several)
    random.shuffle(moved)
    assert hear([several]) == hear([cut(tuple(moved))])


def test_one_take_in_or_several_are_the_same_where_every_line_says_what_it_is(hear: Callable[..., Heard]) -> None:
    parts = (
        (movement(100, reference="REF-R1"), movement(-70, remittance="RENT 12")),
        (movement(200, remittance="상환 ref-\nr2"),),
        (movement(300, reference="REF-R4"), movement(150, reference="REF-R3")),
    )
    first, second, third = cut(*parts)
    whole = hear([cut(tuple(m for part in parts for m in part))])
    assert hear([[first], [second], [third]]) == whole
    assert hear([[first], [third], [second]]) == whole
    assert sorted((found[5], found[6]) for found in whole.matched) == [
        ("R1", "bank_reference"),
        ("R2", "our_reference"),
        ("R4", "bank_reference"),
    ]
    assert sorted((found[0], found[3]) for found in whole.breaks) == [
        ("amount_differs", 150),
        ("unknown_at_bank", -70),
    ]
    assert whole.balances["client_bank"] == OPENING + 680
