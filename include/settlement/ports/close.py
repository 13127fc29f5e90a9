"""The close and its proofs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.day_report import Cell
    from settlement.domain.frames import Outcome
    from settlement.ports.days import DayRun


SEAL_BYTES = 6
"""How much of its SHA-256 seals a row: an accident goes unseen once in 2^48."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A computed version of a settlement date: what it saw, what it was computed with and what came out, as hashes."""

    settlement_date: date
    revision: int
    run_id: str
    reason: str | None
    policy_name: str
    policy_version: str
    policy_sha256: str
    input_sha256: str
    output_sha256: str
    code_version: str
    computed_at: datetime
    requested_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What one side (bank, ledger, investors) had before a day, what came and went, and what it has then."""

    side: str
    currency: str
    opening: int
    came: int
    went: int
    closing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate as it was issued: `body` is its JSON text, `sha256` the hash of that."""

    number: int
    settlement_date: date
    revision: int
    body: str
    sha256: str
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """One table of a day's report: the names of its columns, and its rows as plain values."""

    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


class Close(Protocol):
    """Certificates, seals and proofs."""

    def revision(self, settlement_date: date) -> Revision | None:
        """Return the newest computed revision of a day, with its hashes, or None where there is none."""
        ...

    def revisions(self, settlement_date: date) -> list[Revision]:
        """Return every computed revision of a day, with its hashes, oldest first."""
        ...

    def changes(self, settlement_date: date) -> dict[int, dict[str, dict[str, int]]]:
        """Return by how much each revision of a day changed each of its totals: by revision, currency and total."""
        ...

    def policy(self, sha256: str) -> bytes | None:
        """Return the text of a policy that a revision was computed with, or None where it was not kept."""
        ...

    def movements(self, *, on: date, before: date) -> list[Movement]:
        """Return what bank, ledger and investors had after the day `before`, what moved until `on`, and have then."""
        ...

    def report_table(self, name: str, on: date) -> ReportTable:
        """Return one table of a day's report: shares, payouts, breaks or journal."""
        ...

    def taxes(self, on: date, classes: Mapping[str, str]) -> ReportTable:
        """Return what was withheld on a day by tax class, where `classes` are those of the investors, by id."""
        ...

    def certificates(self) -> list[Certificate]:
        """Return every certificate in the order in which they were issued."""
        ...

    def certified_until(self) -> date | None:
        """Return the newest settlement date that has a certificate, or None before the first."""
        ...

    def newest_certificate(self) -> Certificate | None:
        """Return the certificate that was issued last, or None before the first."""
        ...

    def certificate(self, settlement_date: date) -> Certificate | None:
        """Return the newest certificate of a day, or None where it has none."""
        ...

    def seal(self, number: int, *, since: Mapping[str, int]) -> dict[str, int]:
        """Seal every row that has come since a certificate and that no seal covers, and return how far that goes.

        `since` and what is returned are the newest entry and payout step, under `entries` and `payout_history`.
        """
        ...

    def sealed(self, number: int) -> Mapping[str, Mapping[str, int | str]]:
        """Return the count (`rows`) and hash (`sha256`) of the seals that were written with a certificate, by table."""
        ...

    def keep_certificate(self, number: int, *, on: date, revision: int, body: str, now: datetime) -> None:
        """Write a certificate; nothing changes it afterwards."""

    def sealed_rows(self, number: int) -> Iterator[tuple[str, str, list[str]]]:
        """Yield what a certificate seals, by table and in the order of keys: the texts that were hashed."""
        ...

    def broken_seals(self) -> list[str]:
        """Return, for each table, the first row that is not what was sealed: changed, gone, or put in."""
        ...

    def broken_invariants(self) -> list[tuple[str, str]]:
        """Return every invariant that does not hold, with the first row that breaks it."""
        ...

    def computed(self) -> list[Revision]:
        """Return every computed revision of every day, oldest first."""
        ...

    def moved(self, table: str) -> pd.Series[int]:
        """Return what was allocated to each of the `receivables`, or of principal repaid on each of the `notes`."""
        ...

    def differs_from(self, day: DayRun, outcome: Outcome) -> list[str]:
        """Return where the books do not hold this outcome: its hash, then the first row of each table that differs."""
        ...

    def unknown_seals(self) -> int:
        """Return how many seals belong to no certificate."""
        ...
