"""The words of states and kinds: those of the program are those that the database takes, no more and no fewer."""

import re
from enum import StrEnum

import pytest
import sqlalchemy as sa
from settlement.domain.bank.matching import SubjectKind
from settlement.domain.bank.messages import MessageState, SubmissionOutcome
from settlement.domain.bank.statement import LineState
from settlement.domain.books.accounts import Remittance
from settlement.domain.breaks import BreakState
from settlement.domain.days import DayState
from settlement.domain.payments.evidence import FactKind
from settlement.domain.payments.files import FileState

CHECKS = """
select pg_get_constraintdef(c.oid) from pg_constraint c
  join pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
 where c.conrelid = cast(:table as regclass) and a.attname = :column and c.contype = 'c'
"""


@pytest.mark.parametrize(
    ("table", "column", "enum"),
    [
        ("ledger.days", "state", DayState),
        ("ledger.breaks", "state", BreakState),
        ("ledger.payout_files", "state", FileState),
        ("ledger.payout_facts", "kind", FactKind),
        ("ledger.transmissions", "outcome", SubmissionOutcome),
        ("ledger.bank_messages", "state", MessageState),
        ("ledger.statement_lines", "state", LineState),
        ("ledger.matches", "subject_kind", SubjectKind),
        ("ledger.remittances", "kind", Remittance),
    ],
)
def test_the_database_takes_the_words_of_the_enum_and_no_others(
    settlement_db_url: str, table: str, column: str, enum: type[StrEnum]
) -> None:
    engine = sa.create_engine(settlement_db_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        (check,) = connection.execute(sa.text(CHECKS), {"table": table, "column": column}).scalars()
    engine.dispose()
    assert sorted(re.findall(r"'(\w+)'", check)) == sorted(enum)
