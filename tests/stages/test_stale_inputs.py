"""A day is computed from positions as new as the books, or not at all: whatever else is posted meanwhile."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from settlement.adapters.snapshots import ParquetSnapshots
from settlement.domain.computation import settle
from settlement.domain.days import Windows
from settlement.domain.errors import Displaced, Refused
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import close, compute, extract

from .conftest import transaction_of
from .two_dates import FIRST, NOW, SECOND, TwoDates, at_once, computed, configure, fill, opened, verified

ALLOCATED = "select receivable_id, sum(amount)::bigint from reporting.allocations group by 1 order by 1"
WHAT_IS_DUE = [("L1-1-I", 10_000), ("L1-1-P", 80_000), ("L1-2-P", 7_000), ("L2-1-P", 400)]
ON_RECORD = "select settlement_date::text, books_version from ledger.snapshots order by 1"


@pytest.fixture
def books(lending_core: Any, settlement_db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoDates:
    fill(lending_core.owner_url)
    return configure(
        monkeypatch, core_url=lending_core.url, ledger_url=settlement_db_url, snapshots=tmp_path / "snapshots"
    )


def point(books: TwoDates, monkeypatch: pytest.MonkeyPatch, name: str) -> int:
    """Return which point of freezing the second date has this name, on books that nothing is posted to."""
    with books.services() as services:
        day = replace(opened(services, SECOND), dry_run=True)
        stop, _ = at_once(books, services, monkeypatch, held=day, other=day, at=0)
    return stop.names.index(name) + 1


def test_a_day_posted_while_another_is_being_frozen_is_seen_by_it(
    books: TwoDates, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ParquetSnapshots.freeze
    reached, go_on = threading.Event(), threading.Event()

    def slowly(self: ParquetSnapshots, name: str, inputs: Any) -> str:
        if name.startswith(SECOND.isoformat()) and not go_on.is_set():
            reached.set()
            assert go_on.wait(30)
        return real(self, name, inputs)

    monkeypatch.setattr(ParquetSnapshots, "freeze", slowly)
    with books.services() as services:
        first, second = opened(services, FIRST), opened(services, SECOND)
        other = threading.Thread(target=lambda: extract.freeze_inputs(services, second, now=NOW))
        other.start()
        assert reached.wait(30)
        computed(services, first)
        go_on.set()
        other.join(30)
        assert books.rows(ON_RECORD) == [("2026-02-16", 0), ("2026-02-19", 0)]
        compute.distribute(services, second, now=NOW)
        assert books.rows(ON_RECORD) == [("2026-02-16", 0), ("2026-02-19", 1)]
        assert verified(services) == []
    assert books.rows(ALLOCATED) == WHAT_IS_DUE


def test_a_day_posted_between_two_reads_is_seen_by_both_or_by_neither(
    books: TwoDates, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = point(books, monkeypatch, "before columns")
    real = compute.distribute

    def first_alone(services: Services, day: DayRun, **named: Any) -> Any:
        return real(services, day, **named) if day.settlement_date == FIRST else None

    monkeypatch.setattr(compute, "distribute", first_alone)
    with books.services() as services:
        first, second = opened(services, FIRST), opened(services, SECOND)
        at_once(books, services, monkeypatch, held=second, other=first, at=at)
        assert books.rows("select settlement_date::text from ledger.revisions") == [("2026-02-16",)]
        assert books.rows(ON_RECORD) == [("2026-02-16", 0), ("2026-02-19", 0)]
        with services.ledger.books(read_only=True) as found:
            frozen = found.outcomes.frozen(second)
        assert frozen is not None
        inputs = services.snapshots.load(extract.snapshot_name(second), input_sha256=frozen.input_sha256)
    assert inputs.receivables.set_index("receivable_id")["allocated"].to_dict() == {
        "L1-1-I": 0,
        "L1-1-P": 0,
        "L1-2-P": 0,
        "L2-1-P": 0,
    }
    assert inputs.notes.set_index("note_id")["outstanding"].to_dict() == {
        "N1": 500_000,
        "N2": 300_000,
        "N3": 200_000,
        "N4": 1_000,
    }
    assert inputs.credits.empty
    assert inputs.originals["state"].tolist() == ["unsettled"]


def stale(services: Services, books: TwoDates) -> tuple[DayRun, str]:
    """Freeze the second date, then post the first; return the second with the hash of its inputs, stale by now."""
    first, second = opened(services, FIRST), opened(services, SECOND)
    input_sha256 = str(extract.freeze_inputs(services, second, now=NOW)["input_sha256"])
    computed(services, first)
    assert books.rows("select version from ledger.books_version") == [(1,)]
    return second, input_sha256


def post(services: Services, day: DayRun, *, input_sha256: str, loaded: str) -> None:
    """Post what inputs come to, past everything that would read them again."""
    inputs = services.snapshots.load(extract.snapshot_name(day), input_sha256=loaded)
    with (
        services.ledger.books(day=day, posting=True) as found,
        found.outcomes.posting(
            day, policy=services.policy, input_sha256=input_sha256, code_version="by hand", now=NOW
        ) as posting,
    ):
        for part in settle.settle_in_parts(inputs, services.policy, day.settlement_date):
            windows = Windows(services.calendar, {})
            posting.take(part, arrived=compute._arrived(services, windows, inputs.repayments, part))


def test_postgresql_refuses_what_was_computed_from_older_books(books: TwoDates) -> None:
    with books.services() as services:
        second, input_sha256 = stale(services, books)
        before = books.outcome()
        with pytest.raises(sa.exc.IntegrityError, match=r"from books numbered \[0\], which are at \[1\] by now"):
            post(services, second, input_sha256=input_sha256, loaded=input_sha256)
        assert books.outcome() == before
        compute.distribute(services, second, now=NOW)
        assert verified(services) == []
    assert books.rows(ALLOCATED) == WHAT_IS_DUE


def test_postgresql_refuses_what_was_computed_from_other_inputs_than_those_on_record(books: TwoDates) -> None:
    with books.services() as services:
        second, input_sha256 = stale(services, books)
        with pytest.raises(sa.exc.IntegrityError, match=r"computed from inputs \[of another day\], on record are"):
            post(services, second, input_sha256="of another day", loaded=input_sha256)


def test_postgresql_refuses_a_revision_without_inputs_on_record(books: TwoDates) -> None:
    by_hand = """insert into ledger.revisions values
      ('2026-02-16', 1, 'run', null, 'p', '1', 'p', 'x', 'y', 'by hand', now())"""
    with books.services() as services:
        day = opened(services, FIRST)
        with (
            pytest.raises(sa.exc.IntegrityError, match=r"computed from inputs \[x\], on record are \[<NULL>\]"),
            services.ledger.books(day=day, posting=True) as found,
        ):
            transaction_of(found.days).execute(sa.text(by_hand))


def test_the_number_of_the_books_grows_with_a_revision_and_no_task_can_set_it(books: TwoDates) -> None:
    with books.services() as services:
        computed(services, opened(services, FIRST))
        computed(services, opened(services, SECOND))
        assert books.rows("select version from ledger.books_version") == [(2,)]
        with pytest.raises(Refused, match="permission denied"), services.ledger.books() as found:
            transaction_of(found.days).execute(sa.text("update ledger.books_version set version = 0"))


def test_what_a_revision_was_computed_from_stays_on_record(books: TwoDates) -> None:
    with books.services() as services:
        day = opened(services, FIRST)
        computed(services, day)
        with (
            pytest.raises(sa.exc.IntegrityError, match="is computed: its inputs stay on record"),
            services.ledger.books(day=day) as found,
        ):
            found.outcomes.keep_frozen(day, "x", books_version=1, now=NOW)


def test_a_freeze_that_ends_after_its_date_was_computed_keeps_nothing(
    books: TwoDates, monkeypatch: pytest.MonkeyPatch
) -> None:
    with books.services() as services:
        day = opened(services, FIRST)
        real = services.core.snapshot

        @contextmanager
        def overtaken() -> Iterator[Any]:
            with real() as source:
                yield source
            monkeypatch.setattr(services.core, "snapshot", real)
            computed(services, day)

        monkeypatch.setattr(services.core, "snapshot", overtaken)
        assert extract.freeze_inputs(services, day, now=NOW) == {"already": "computed"}
        assert books.rows(ON_RECORD) == [("2026-02-16", 0)]
        assert verified(services) == []


def test_a_displaced_run_puts_nothing_on_record_and_the_other_computes_what_it_froze_itself(
    books: TwoDates, monkeypatch: pytest.MonkeyPatch
) -> None:
    with books.services() as services:
        day = opened(services, FIRST)
        real = services.core.snapshot
        frozen: list[str] = []

        @contextmanager
        def overtaken() -> Iterator[Any]:
            with real() as source:
                loans = source.loans
                monkeypatch.setattr(source, "loans", lambda ids: loans(ids)[:0])  # the slower one sees something else
                yield source
            monkeypatch.setattr(services.core, "snapshot", real)
            other = opened(services, FIRST, run_id="backfill")
            frozen.append(extract.freeze_inputs(services, other, now=NOW)["input_sha256"])

        monkeypatch.setattr(services.core, "snapshot", overtaken)
        with pytest.raises(Displaced):
            extract.freeze_inputs(services, day, now=NOW)
        assert books.rows("select input_sha256 from ledger.snapshots") == [(frozen[0],)]
        compute.distribute(services, replace(day, run_id="backfill"), now=NOW)
        assert books.rows("select input_sha256 from ledger.revisions") == [(frozen[0],)]


@pytest.mark.parametrize("damage", ["changed", "a file gone", "gone"])
def test_frozen_inputs_that_are_not_what_they_were_are_refused_until_they_are_frozen_again(
    books: TwoDates, tmp_path: Path, damage: str
) -> None:
    with books.services() as services:
        day = opened(services, FIRST)
        sha256 = extract.freeze_inputs(services, day, now=NOW)["input_sha256"]
        folder = tmp_path / "snapshots" / "2026-02-16-r1" / sha256[:16]
        if damage == "changed":
            (folder / "notes.parquet").write_bytes(b"PAR1")
        elif damage == "a file gone":
            (folder / "notes.parquet").unlink()
        else:
            shutil.rmtree(folder)
        with pytest.raises(Refused, match="Clear the task freeze_inputs"):
            compute.distribute(services, day, now=NOW)
        assert extract.freeze_inputs(services, day, now=NOW)["input_sha256"] == sha256
        compute.distribute(services, day, now=NOW)
        assert verified(services) == []


def test_a_frozen_input_that_is_gone_is_named_and_what_only_it_knew_is_not_judged(
    books: TwoDates, tmp_path: Path
) -> None:
    with books.services() as services:
        computed(services, opened(services, FIRST))
        computed(services, opened(services, SECOND))
        shutil.rmtree(tmp_path / "snapshots" / "2026-02-16-r1")
        assert close.verify(services) == [{"check": close.INPUTS, "row": "snapshots 2026-02-16/1"}]


def test_what_the_source_lowers_after_it_was_paid_is_no_fault_of_the_books(books: TwoDates, lending_core: Any) -> None:
    with books.services() as services:
        computed(services, opened(services, FIRST))
        engine = sa.create_engine(lending_core.owner_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("update core.receivables set amount = 9000 where receivable_id = 'L1-1-I'")
        engine.dispose()
        computed(services, opened(services, SECOND))
        assert verified(services) == []


def test_a_row_that_the_source_lost_after_the_freeze_stops_the_day(books: TwoDates, lending_core: Any) -> None:
    with books.services() as services:
        day = opened(services, SECOND)  # it cancels R3, whose own date was never settled
        extract.freeze_inputs(services, day, now=NOW)
        engine = sa.create_engine(lending_core.owner_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "alter table core.repayments drop constraint repayments_reverses_repayment_id_fkey;"
                " delete from core.repayments where repayment_id = 'R3'"
            )
        engine.dispose()
        with pytest.raises(Refused, match=r"no longer has repayments \[R3\]"):
            compute.distribute(services, day, now=NOW)
