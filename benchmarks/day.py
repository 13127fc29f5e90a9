"""One settlement date through the product's own stages, timed: what `make bench` compares with COPY."""

import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from settlement import config, wiring
from settlement.domain.bank.messages import Message, Submission, SubmissionOutcome
from settlement.domain.bank.statement import Statement, StatementLine, content_key, line_id
from settlement.ports.bank import Debtor
from settlement.ports.days import RunRequest
from settlement.ports.services import Services
from settlement.stages import approve, compute, extract, match, open_day, prepare, prove, submit, take_in

from benchmarks import world

NOW = datetime(2026, 3, 10, 21, 0, tzinfo=UTC)
DEBTOR = Debtor(account="KR23MOCK0000000099", name="Lender", agent="MOCKKRSE", currency="KRW")
BOOKED_ON = date(2026, 3, 11)


@dataclass
class Timings:
    """Seconds by stage, on the clock and of this process's processors; and the most memory that it ever held."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_rss_bytes: dict[str, int] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Add what happens in the block to a stage."""
        clock, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - clock
        self.cpu_seconds[stage] = self.cpu_seconds.get(stage, 0.0) + time.process_time() - cpu
        self.peak_rss_bytes[stage] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(f"  {stage}: {self.seconds[stage]:.1f} s", file=sys.stderr, flush=True)


class BenchBank:
    """A bank in this process: it takes every file, and its one statement shows every receipt and every payout."""

    checks_duplicates = True
    answers_later = False

    def __init__(self) -> None:
        self.statement: Statement | None = None

    def submit(self, file_id: str, content: bytes) -> Submission:
        return Submission(outcome=SubmissionOutcome.RECEIVED, text=f"[{file_id}] received", status_code=202)

    def fetch(self) -> Sequence[Message]:
        return [] if self.statement is None else [Message.of(self.statement.statement_id.encode(), kind="camt.053")]

    def acknowledge(self, messages: Sequence[Message]) -> Sequence[Message]:
        return ()

    def describe(self) -> str:
        return "a bank in this process"

    def read(self, message: Message) -> tuple[Statement, ...]:
        assert self.statement is not None
        return (self.statement,)


def run(core_url: str, ledger_url: str, home: Path, *, stages: Sequence[str]) -> dict[str, Any]:
    """Settle the date and return the timings; `stages` are those wanted, of extract … match, in order."""
    home.mkdir(parents=True, exist_ok=True)
    policy = home / "policy.toml"
    # Nothing but the day itself is measured, so it does not wait for a statement before it pays.
    policy.write_text(config.DEFAULT_POLICY.read_text().replace('needs = "statement"', 'needs = "ledger"'))
    os.environ |= {
        "SETTLEMENT_POLICY": str(policy),
        "SETTLEMENT_SNAPSHOTS": str(home / "snapshots"),
        "SETTLEMENT_NOW": NOW.isoformat(),
        "AIRFLOW_CONN_LENDING_CORE": json.dumps({"conn_type": "generic", "extra": {"url": core_url}}),
        "AIRFLOW_CONN_SETTLEMENT_DB": json.dumps({"conn_type": "generic", "extra": {"url": ledger_url}}),
    }
    timings, bank = Timings(), BenchBank()
    with wiring.services() as real:
        services = replace(real, bank=bank, debtor=DEBTOR, read_message=bank.read)
        _day(services, bank, timings, ledger_url, core_url, stages)
    return asdict(timings)


def _day(
    services: Services, bank: BenchBank, timings: Timings, ledger_url: str, core_url: str, stages: Sequence[str]
) -> None:
    request = RunRequest(settlement_date=world.ON, run_id="bench")
    with timings.of("extract"):
        day = open_day.open_day(services, request, now=NOW)
        timings.said["extract"] = extract.freeze_inputs(services, day, now=NOW)
    with timings.of("compute_and_post"):
        timings.said["compute_and_post"] = compute.distribute(services, day, now=NOW)
    if "prepare" in stages:
        with timings.of("prepare"):
            timings.said["prepare"] = prepare.prepare(services, day, now=NOW)
            approve.ask(services, day, now=NOW)
    if "submit" in stages:
        with timings.of("submit"):
            timings.said["submit"] = submit.submit(services, day, now=NOW)
    if "match" in stages:
        bank.statement = _statement(ledger_url, core_url)
        with timings.of("match"):
            timings.said["match"] = take_in.for_day(services, day, now=NOW)
            match.for_day(services, day, now=NOW)
            timings.said["prove"] = prove.prove(services, day, now=NOW)


def _statement(ledger_url: str, core_url: str) -> Statement:
    """Return what an honest bank says of the day: a line for every receipt and one for every payout."""
    receipts = _rows(core_url, "select bank_reference, amount from core.repayments order by 1")
    payouts = _rows(ledger_url, "select end_to_end_id, -amount from ledger.payouts order by 1")
    said = [(row[0], row[0], None, row[1]) for row in receipts] + [(row[0], None, *row) for row in payouts]
    lines = tuple(
        StatementLine(
            line_id=line_id("BENCH", DEBTOR.account, own, occurrence=1),
            booking_date=BOOKED_ON,
            value_date=BOOKED_ON,
            amount=amount,
            currency="KRW",
            reference=reference,
            end_to_end_id=end_to_end_id,
        )
        for own, reference, end_to_end_id, amount in said
    )
    closing = sum(line.amount for line in lines)
    return Statement(
        statement_id="BENCH",
        sequence=1,
        account=DEBTOR.account,
        currency="KRW",
        business_date=BOOKED_ON,
        from_date=BOOKED_ON,
        to_date=BOOKED_ON,
        opening=0,
        closing=closing,
        lines=lines,
        content_key=content_key(
            account=DEBTOR.account,
            currency="KRW",
            business_date=BOOKED_ON,
            opening=0,
            closing=closing,
            said=[hashlib.sha256(line.line_id.encode()).hexdigest() for line in lines],
        ),
    )


def _rows(url: str, sql: str) -> list[tuple[str, int]]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = [(row[0], row[1]) for row in connection.execute(sa.text(sql))]
    engine.dispose()
    return found
