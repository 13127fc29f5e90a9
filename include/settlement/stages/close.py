"""The close of a day: its certificate, and the proofs that anybody can repeat later.

A day is closed when its payouts are final, its money is on a statement and every control holds; what is open then is
listed in its certificate by name. Certificates are chained: each holds the hash of the one before it and of every row
that became part of the books since. So `verify` needs the rows, and of the frozen inputs only how much each receivable
and note can bear; `replay` needs the frozen inputs alone.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from settlement.domain import controls, frames
from settlement.domain import policy as policies
from settlement.domain.bank import statement as statements
from settlement.domain.computation import settle
from settlement.domain.errors import InvalidPolicy, Refused
from settlement.domain.policy import Policy
from settlement.ports.bank_lines import KeptStatement
from settlement.ports.books import Books
from settlement.ports.breaks import Break
from settlement.ports.close import Revision
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.ports.snapshots import Snapshots
from settlement.stages import extract, standing

CHAIN = "certificates are chained, and cover the seals that were written with them"
MONTHS = "certificates of months are chained, name their days as these were certified, and say what the journal says"
SEALS = "rows are what was sealed"
INPUTS = "frozen inputs are in the store, as they were frozen"
ITEMS = "what stands between us and the bank is explained item by item"

LIMITS = {
    "receivables": ("receivable_id", "amount", "receivables are allocated up to their amount, and not below zero"),
    "notes": ("note_id", "principal", "notes are repaid up to their principal, and not below zero"),
}
"""By the table of the frozen inputs: its key, the most that can move of it, and the check that no more did."""

UNKNOWN = -1
"""The most that can move of what no frozen input names."""


def issue(services: Services, books: Books, on: date, *, now: datetime) -> dict[str, Any]:
    """Certify a day that is closed, in the transaction that closes it; its revision is certified once.

    Raises Broken: a side's opening and movements do not make its closing, or ledger and bank differ.
    """
    found, before = books.close.revision(on), books.close.newest_certificate()
    if found is None:
        raise Refused(f"[{on}] was never computed: there is nothing to certify")
    already = books.close.certificate(on)
    if already is not None and already.revision == found.revision:
        return dict(json.loads(already.body))
    former: dict[str, Any] = json.loads(before.body) if before else {"number": 0, "sealed_until": {}}
    number = former["number"] + 1
    sealed_until = books.close.seal(number, since=former["sealed_until"])
    chain = books.bank_lines.statements(services.debtor.account) if services.debtor else []
    status = standing.status(services, books, on)
    body = {
        "number": number,
        "previous_sha256": before.sha256 if before else None,
        "settlement_date": on.isoformat(),
        "revision": found.revision,
        "supersedes": {name: getattr(already, name) for name in ("number", "revision", "sha256")} if already else None,
        "restatements": _restatements(books, on, since=already.revision if already else 1),
        "issued_at": now.isoformat(),
        "policy": {key: getattr(found, f"policy_{key}") for key in ("name", "version", "sha256")},
        "input_sha256": found.input_sha256,
        "output_sha256": found.output_sha256,
        "code_version": found.code_version,
        "totals": status["totals"],
        "payouts": status["payouts"],
        "movements": movements(services, books, chain, on),
        "gaps": [
            {"before": before.statement_id, "after": after.statement_id, "amount": after.opening - before.closing}
            for before, after in _gaps(chain, on)
        ],
        "statements": [
            {name: getattr(found, name) for name in ("statement_id", "sha256", "opening", "closing")}
            for found in chain
            if found.business_date == on
        ],
        "open_breaks": [_break(found) for found in books.breaks.open()],
        "controls": [control.__name__ for control in (*controls.CONTROLS, *controls.CUSTODY_CONTROLS)],
        "held": _held(books),
        "in_transit": asdict(books.in_transit.open_items()),
        "sealed": books.close.sealed(number),
        "sealed_until": sealed_until,
    }
    controls.check_movements(body["movements"])
    books.close.keep_certificate(number, on=on, revision=found.revision, body=canonical(body), now=now)
    return body


def canonical(value: Any) -> str:
    """Return a value as JSON that is the same text for the same value: what is hashed of it."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _restatements(books: Books, on: date, *, since: int) -> list[dict[str, Any]]:
    """Return every revision of a date after one: why, who asked for it, and by how much each total changed."""
    changes = books.close.changes(on)
    return [
        {
            "revision": found.revision,
            "reason": found.reason,
            "requested_by": found.requested_by,
            "changes": changes.get(found.revision, {}),
        }
        for found in books.close.revisions(on)
        if found.revision > since
    ]


def certificate(books: Books, on: date) -> dict[str, Any]:
    """Return the day's certificate with its own hash.

    Raises Refused: the day is not closed; the message says how far it is.
    """
    found = books.close.certificate(on)
    if found is None:
        day = books.days.find(on)
        raise Refused(
            f"[{on}] has no certificate: it is [{day.state if day else 'absent'}]. A day is closed by reconciliation"
            " once its payouts are final and its money is on a statement; `settlement status` says what is missing"
        )
    return {**json.loads(found.body), "sha256": found.sha256}


def verify(services: Services) -> list[dict[str, str]]:
    """Prove every invariant and the chain from rows and frozen inputs: return what is broken, by check and first row.

    Only how much a receivable or a note can bear is taken from the frozen inputs; all else stands in the rows.
    """
    with services.ledger.books(read_only=True) as books:
        return broken(services.snapshots, books)


def broken(snapshots: Snapshots, books: Books) -> list[dict[str, str]]:
    """Return every check that does not hold, with the first row that breaks it."""
    found = [(check, row) for check, look in ROW_CHECKS.items() for row in look(books)]
    found += [*books.close.broken_invariants(), *_beyond_limits(snapshots, books)]
    return [{"check": check, "row": row} for check, row in found]


def _beyond_limits(snapshots: Snapshots, books: Books) -> list[tuple[str, str]]:
    """Return the first receivable and note of which more moved than it is, and every frozen input that is not there.

    What it is, is the most that the input of any counting revision says: a source may lower an amount that was paid.
    Where an input is not there, what no other names is not judged.
    """
    found: list[tuple[str, str]] = []
    gone: dict[str, None] = {}
    for table, (key, limit, check) in LIMITS.items():
        moved = books.close.moved(table)
        most = np.full(len(moved), UNKNOWN, dtype=np.int64)
        for row in books.close.computed():
            day = DayRun(settlement_date=row.settlement_date, revision=row.revision, run_id="verify")
            try:
                said = snapshots.table(extract.snapshot_name(day), table, input_sha256=row.input_sha256)
            except Refused:
                gone[f"snapshots {row.settlement_date}/{row.revision}"] = None
                continue
            places = moved.index.get_indexer(pd.Index(said[key]))
            is_moved = places >= 0
            places, amounts = places[is_moved], said[limit].to_numpy()[is_moved]
            most[places] = np.maximum(most[places], amounts)
        is_judged = (most != UNKNOWN) | (not gone)
        beyond = np.flatnonzero((moved.to_numpy() < 0) | (is_judged & (moved.to_numpy() > most)))
        found += [(check, f"{table} {moved.index[place]}") for place in beyond[:1]]
    return [*found, *((INPUTS, row) for row in gone)]


def _unexplained(books: Books) -> list[str]:
    """Return the accounts between us and the bank that are not the sum of their items, counted from the beginning."""
    posted, items = books.in_transit.by_posting(), books.in_transit.by_item(is_whole=True)
    return [
        f"balances {account} {currency}"
        for account, currency in sorted({*posted, *items})
        if posted.get((account, currency), 0) != items.get((account, currency), 0)
    ]


def replay(services: Services, on: date) -> dict[str, Any]:
    """Compute a day again from its frozen inputs and its policy, and compare with what is on record, byte for byte.

    Every revision is computed: the first from the inputs of the whole day, a later one from those of the loans that it
    ran again. What differs is told with the number of a later revision.

    Raises Refused: the day was never computed, or its policy or frozen inputs are not there.
    """
    differing: list[str] = []
    with services.ledger.books(read_only=True) as books:
        found = None
        for found in books.close.revisions(on):
            policy = policy_of(services, books, found)
            day = DayRun(settlement_date=on, revision=found.revision, run_id="replay", dry_run=True)
            inputs = services.snapshots.load(extract.snapshot_name(day), input_sha256=found.input_sha256)
            outcome = settle.settle_day(inputs, policy, on)
            controls.check_outcome(outcome)
            of_later = f"revision {found.revision}: " if found.revision > 1 else ""
            differing += [f"{of_later}{row}" for row in books.close.differs_from(day, outcome)]
        if found is None:
            raise Refused(f"[{on}] was never computed: there is nothing to replay")
    return {
        "settlement_date": on.isoformat(),
        "revision": found.revision,
        "input_sha256": found.input_sha256,
        "output_sha256": found.output_sha256,
        "is_same_code": found.code_version == services.code_version,
        "differs": differing,
    }


def policy_of(services: Services, books: Books, revision: Revision) -> Policy:
    """Return the policy that a revision was computed with: the one in use, or the one whose text was kept with it.

    Raises Refused: it was computed before texts were kept, and with another policy; or this version reads it no more.
    """
    if revision.policy_sha256 == services.policy.sha256:
        return services.policy
    said = f"[{revision.settlement_date}] was computed with policy [{revision.policy_name}]"
    kept = books.close.policy(revision.policy_sha256)
    if kept is None:
        raise Refused(
            f"{said} of sha256 [{revision.policy_sha256}], whose text was not kept, and in use is"
            f" [{services.policy.sha256}]: set SETTLEMENT_POLICY to that file"
        )
    try:
        return policies.parse(kept, source=f"{revision.policy_name}, {revision.policy_sha256[:16]}")
    except InvalidPolicy as error:
        raise Refused(f"{said}, which this version cannot read; replay it with the version that did. {error}") from None


def movements(
    services: Services, books: Books, chain: Sequence[KeptStatement], on: date, *, first: date | None = None
) -> dict[str, dict[str, int]]:
    """Return what each side had, what came, what went, and what it has; the bank's closing is that of its statement.

    It is of one day, or of all from `first` on until it. So the lines of these days are held against a balance that
    they were not counted from. What no statement tells, a gap that somebody answered for, is not in it: the certificate
    names it beside.
    """
    begins = first or on
    settled = [day for day in books.days.settled() if day < begins]  # also one that the calendar has closed since
    before = max([services.calendar.calendar.previous_business_day(begins), *settled])
    moved = {
        f"{row.side} {row.currency}": {name: getattr(row, name) for name in ("opening", "came", "went", "closing")}
        for row in books.close.movements(on=on, before=before)
    }
    shown = [found for found in chain if found.business_date <= on]
    if shown:
        untold = sum(after.opening - before.closing for before, after in _gaps(chain, on))
        moved[f"bank {shown[-1].currency}"]["closing"] = shown[-1].closing - untold
    return moved


def _gaps(chain: Sequence[KeptStatement], on: date) -> list[tuple[KeptStatement, KeptStatement]]:
    """Return every statement until a day that does not open where the one before it closed, with the one before it."""
    return statements.gaps([found for found in chain if found.business_date <= on])


def _held(books: Books) -> dict[str, dict[str, int]]:
    """Return what is owed and not paid, by currency and reason, as payouts were last prepared."""
    held: dict[str, dict[str, int]] = defaultdict(lambda: {"count": 0, "amount": 0})
    for currency, reason, amount in frames.rows(books.payouts.holds(), "currency", "reason", "amount"):
        sums = held[f"{currency} {reason}"]
        sums["count"] += 1
        sums["amount"] += amount
    return dict(held)


def _break(found: Break) -> dict[str, Any]:
    names = ("break_id", "cause", "subject_kind", "subject_id", "currency", "amount", "age_business_days")
    return {name: getattr(found, name) for name in names}


def _broken_chain(books: Books) -> list[str]:
    """Return the first certificate that is not what it was, or does not follow the one before it."""
    previous: str | None = None
    first = 0 if books.opening.find() else 1
    for place, found in enumerate(books.close.certificates(), start=first):
        body = json.loads(found.body)
        is_whole = (
            hashlib.sha256(found.body.encode()).hexdigest() == found.sha256
            and body["previous_sha256"] == previous
            and (body["number"], body["settlement_date"], body["revision"])
            == (found.number, found.settlement_date.isoformat(), found.revision)
            and found.number == place
            and datetime.fromisoformat(body["issued_at"]) == found.issued_at
        )
        if not is_whole:
            return [f"certificates {found.number}"]
        sealed = books.close.sealed(found.number)
        for table in sorted({*sealed, *body["sealed"]}):
            if sealed.get(table) != body["sealed"].get(table):
                return [f"seals {found.number}/{table}"]
        previous = found.sha256
    return ["seals of no certificate"] if books.close.unknown_seals() else []


def _broken_months(books: Books) -> list[str]:
    """Return the first certificate of a month that is not what it was, or that says what the books do not.

    The journal only grows: what it had under the month's dates until the entry that the certificate names is there yet.
    """
    previous: str | None = None
    days = {found.number: found for found in books.close.certificates()}
    revisions: Counter[date] = Counter()
    for place, found in enumerate(books.months.certificates(), start=1):
        body = json.loads(found.body)
        revisions[found.month] += 1
        is_whole = (
            hashlib.sha256(found.body.encode()).hexdigest() == found.sha256
            and body["previous_sha256"] == previous
            and (body["number"], body["month"], body["revision"])
            == (found.number, f"{found.month:%Y-%m}", found.revision)
            and (found.number, found.revision) == (place, revisions[found.month])
            and datetime.fromisoformat(body["issued_at"]) == found.issued_at
        )
        if not is_whole:
            return [f"month_certificates {found.number}"]
        for named in body["days"]:
            day = days.get(named["certificate"])
            if named["certificate"] is not None and (day is None or day.sha256 != named["sha256"]):
                return [f"month_certificates {found.number}: the certificate of {named['settlement_date']}"]
        first, last = (date.fromisoformat(body[name]) for name in ("first", "last"))
        journal = [asdict(row) for row in books.months.journal(first, last, until=body["entries_until"])]
        if journal != body["journal"]:
            return [f"month_certificates {found.number}: the journal"]
        previous = found.sha256
    return []


ROW_CHECKS: Mapping[str, Callable[[Books], list[str]]] = {
    CHAIN: _broken_chain,
    MONTHS: _broken_months,
    SEALS: lambda books: books.close.broken_seals(),
    ITEMS: _unexplained,
}
"""What needs rows alone and is no invariant of the ledger: each returns the first rows that break it."""

CHECKS: Sequence[str] = (*ROW_CHECKS, *(check for _, _, check in LIMITS.values()), INPUTS)
"""Every check of `verify` besides the invariants of the ledger's rows."""
