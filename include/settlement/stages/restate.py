"""Settling a settled date again: which loans a run of it runs again, and their replay on every settled date from it on.

What is read of the source is read once; each date then sees it with the positions that the books have before it. A date
whose rows and entries come out as they stand stays as it is. Everything is one transaction: a replay that fails leaves
what was there.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import numpy as np
import pandas as pd
import structlog

from settlement.domain import controls, frames
from settlement.domain import policy as policies
from settlement.domain.books.accounts import BORROWER_PAYABLE, INVESTOR_PAYABLE
from settlement.domain.breaks import Finding
from settlement.domain.computation import arrivals, restatement, settle, source_changes
from settlement.domain.days import Windows
from settlement.domain.errors import Refused, Unapproved
from settlement.domain.frames import Outcome
from settlement.domain.payments import refunds
from settlement.domain.payments.approval import Decision, approval_id
from settlement.domain.policy import Policy
from settlement.ports.approvals import Question
from settlement.ports.books import Books
from settlement.ports.close import Revision
from settlement.ports.days import DayRun
from settlement.ports.replays import ShareChange
from settlement.ports.services import Services
from settlement.ports.snapshots import Snapshots
from settlement.ports.source import Facts, SourceSnapshot
from settlement.stages import apply, extract, opening

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why what was settled changes, and who asked for it; a run that nobody gave a reason has none."""

    reason: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restated:
    """What a replay came to: the dates that have a new revision, what that changed, and what its last date found.

    `loans` are those that were run again, and that alone the findings are of; None: all that there are, as nothing was
    run again. `why` is what each of the revisions says of itself. `taken_back` is what investors and borrowers had been
    paid and do not own any more, by currency: by so much they are overdrawn now and were not before.
    """

    revisions: dict[date, int]
    findings: list[Finding]
    loans: Sequence[str] | None = None
    why: Why = field(default_factory=Why)
    changes: list[ShareChange] = field(default_factory=list)
    taken_back: dict[str, int] = field(default_factory=dict)

    @property
    def difference(self) -> dict[str, int]:
        """What investors have more than before, net, by currency."""
        sums: dict[str, int] = defaultdict(int)
        for change in self.changes:
            sums[change.currency] += change.after - change.before
        return dict(sums)


def loans_changed(services: Services, books: Books, on: date) -> list[str]:
    """Return the loans that a run of a settled date runs again, in bytewise order: their facts changed since then.

    Facts are what the rules call so: rows of the source, money in the date's window that nobody has settled, and the
    policy's waterfall, fees and withholding. A loan whose currency has changed is not run again: only a break tells.
    What an earlier date keeps back is tried again by each date after it, which may keep nothing of having seen it: what
    the earlier one saw of its loan counts.

    Raises Refused: the frozen inputs of one of its revisions are not there any more, or not what they were.
    """
    with services.core.snapshot() as source:
        changed = _unsettled_in(services, books, source, on)
        kept_back = books.inputs.kept_back_before(on)
        of_dates: list[tuple[date, Sequence[str] | None]] = [(on, None), *sorted(kept_back.items())]
        for revision, of in [(found, of) for at, of in of_dates for found in books.close.revisions(at)]:
            seen = _seen_by(services, books, revision)
            if of is not None:
                seen = replace(seen, loans=seen.loans[seen.loans["loan_id"].isin(of)])
            if seen.loans.empty:
                continue
            if _policy_differs(books, revision, services.policy):
                changed |= {*seen.loans["loan_id"]}
                continue
            now = extract.facts_of(source, source.loans(seen.loans["loan_id"].tolist()))
            changed |= {
                *restatement.changed_loans(
                    seen, now, settlement_date=on, counts_not_due=services.policy.waterfall.excess != "hold"
                )
            }
        return _in_their_currency(books, source, changed)


def loans_of_late_date(services: Services, books: Books, on: date) -> list[str]:
    """Return the loans that later dates run again when a date is settled after them: all on which it has money."""
    with services.core.snapshot() as source:
        windows = Windows(services.calendar, books.days.windows())
        received = _received_in(windows, source, on)
        facts, _ = extract.read_facts(windows, extract.look_back_of(services, books), books, source, on)
        loans = {*received["loan_id"], *books.replays.received_in(on), *books.inputs.credit_loans(on)}
        loans |= {*facts.repayments["loan_id"], *facts.refunds["loan_id"], *books.opening.loans_waiting(on)}
        return _in_their_currency(books, source, loans)


def _received_in(windows: Windows, source: SourceSnapshot, on: date) -> pd.DataFrame:
    """Return the repayments that the source has in the window of a date."""
    return source.received(windows.pieces([on])[on] or [windows.of(on)])


def _unsettled_in(services: Services, books: Books, source: SourceSnapshot, on: date) -> set[str]:
    """Return the loans with money in the window of a date that no run has settled."""
    received = _received_in(Windows(services.calendar, books.days.windows()), source, on)
    settled = books.inputs.settled(received["repayment_id"].tolist())
    return {*received.loc[~received["repayment_id"].isin(settled), "loan_id"]}


def _seen_by(services: Services, books: Books, revision: Revision) -> frames.Inputs:
    """Return the frozen inputs of a revision, of the loans that no later revision of the date has run again."""
    day = DayRun(settlement_date=revision.settlement_date, revision=revision.revision, run_id="restate", dry_run=True)
    seen = services.snapshots.load(extract.snapshot_name(day), input_sha256=revision.input_sha256)
    later = books.replays.replayed_after(revision.settlement_date, revision.revision)
    is_standing = ~seen.loans["loan_id"].isin(later)
    return replace(seen, loans=seen.loans[is_standing]) if later else seen


def _policy_differs(books: Books, revision: Revision, policy: Policy) -> bool:
    """Tell whether a revision was computed with another waterfall, other fees or another withholding."""
    if revision.policy_sha256 == policy.sha256:
        return False
    kept = books.close.policy(revision.policy_sha256)
    if kept is None:
        return True
    then = policies.parse(kept, source=f"{revision.policy_name}, {revision.policy_sha256[:16]}")
    return (then.waterfall, then.fees, then.withholding) != (policy.waterfall, policy.fees, policy.withholding)


def _in_their_currency(books: Books, source: SourceSnapshot, loans: set[str]) -> list[str]:
    """Return the loans but those that the source has in another currency than money of them was settled in."""
    chosen = sorted(loans, key=str.encode)
    settled_in = books.inputs.currencies(chosen)
    found = source.loans(sorted(settled_in))
    now = dict(zip(found["loan_id"], found["currency"], strict=True))
    return [loan for loan in chosen if loan not in settled_in or now.get(loan, settled_in[loan]) == settled_in[loan]]


def settle_again(services: Services, books: Books, day: DayRun, *, now: datetime) -> Restated:
    """Run the loans whose facts changed since a settled date saw them again on every settled date from it on.

    Raises Refused: something would change, and nobody said why.
    """
    on = day.settlement_date
    loans = loans_changed(services, books, on)
    books.replays.lift(loans, since=on)
    return replay(services, books, day, loans, dates=[at for at in books.days.settled() if at >= on], now=now)


def replay(
    services: Services, books: Books, day: DayRun, loans: Sequence[str], *, dates: Sequence[date], now: datetime
) -> Restated:
    """Run loans again on settled dates, oldest first, from their positions before the first; return what came of it.

    Their repayments stand as before the first of the dates (`books.replays.lift`), or as a run has left them since. The
    transaction holds the lock under which everything is posted.

    Raises Refused: something would change, and nobody said why.
    """
    windows = Windows(services.calendar, books.days.windows())
    settled = {*books.days.settled()}
    why, had = _reason(books, day), _payable(books)
    revisions: dict[date, int] = {}
    found: list[Finding] = []
    with services.core.snapshot() as source:
        facts = extract.facts_of(source, source.loans(loans))
        received = source.received_by(loans, windows.of(dates[-1]).until_at_exclusive)
        opened = books.opening.receipt_ids()
        booked = {*books.replays.booked(received["repayment_id"].tolist())["repayment_id"]}
        fresh = source_changes.new(received, booked | opened)
        refunds_asked = _refunds_asked(books, source, loans, windows.of(dates[-1]).until_at_exclusive)
        for on in dates:
            taken = _offered(_unsettled(books, loans), fresh, windows, on=on, settled=settled, opened=opened)
            asked = _refunds(books, refunds_asked, windows, on)
            held = books.inputs.credit_loans(on) & {*loans}
            if taken.empty and asked.empty and not held and not books.replays.moved_on(on, loans):
                found = []  # the date has nothing of these loans, and had nothing
                _undo_again(services, books, loans, after=on, now=now)
                continue
            inputs, outcome = _settle(services, books, source, facts, taken, asked, held, on)
            arrived = arrivals.dated(*_arrived(books, source, outcome, taken), windows)
            fresh = fresh[~fresh["repayment_id"].isin(arrived["repayment_id"])]
            revision = _post(services, books, day, loans, inputs, outcome, arrived, on=on, why=why, now=now)
            _undo_again(services, books, loans, after=on, now=now)
            if revision is not None:
                revisions[on] = revision
                log.info("restated", settlement_date=on.isoformat(), revision=revision)
            found = findings(outcome)
    return Restated(
        revisions=revisions,
        findings=found,
        loans=loans,
        why=why,
        changes=books.replays.changes(revisions),
        taken_back=_taken_back(had, _payable(books)),
    )


def _payable(books: Books) -> dict[tuple[str, str], int]:
    """Return what is owed to every payee, by account and currency."""
    return books.journal.balances(INVESTOR_PAYABLE.prefix) | books.journal.balances(BORROWER_PAYABLE.prefix)


def _taken_back(had: Mapping[tuple[str, str], int], have: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Return by how much more payees are overdrawn than they were, by currency; a balance owed is negative."""
    taken: dict[str, int] = defaultdict(int)
    for (account, currency), amount in sorted(have.items()):
        more = max(0, amount) - max(0, had.get((account, currency), 0))
        if more > 0:
            taken[currency] += more
    return dict(taken)


def questions(books: Books, on: date, restated: Restated, *, now: datetime) -> tuple[list[Question], Question]:
    """Return what a second person was asked about a restatement that takes back what was paid out, and what to ask.

    A question binds to exactly what changes, what is taken back, and the revisions that do so: these are made once, so
    the same difference later is another question. Returned are all that were asked, oldest first, and the one that
    waits for an answer, or else a new one under the next number.
    """
    said = {
        "changes": [change.to_json() for change in restated.changes],
        "revisions": {at.isoformat(): revision for at, revision in restated.revisions.items()},
        "taken_back": restated.taken_back,
    }
    sha256 = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    asked: list[Question] = []
    while (found := books.approvals.find(_numbered(on, sha256, len(asked) + 1))) is not None:
        asked.append(found)
    new = Question(
        approval_id=_numbered(on, sha256, len(asked) + 1),
        payouts_sha256=sha256,
        count=len(restated.changes),
        amounts=restated.taken_back,
        expires_at=now,
    )
    return asked, next((found for found in asked if found.decision in (None, Decision.SUPERSEDED)), new)


def _numbered(on: date, sha256: str, number: int) -> str:
    return f"{approval_id(on, sha256)}-R{number}"


def require_approval(books: Books, day: DayRun, restated: Restated, *, now: datetime) -> None:
    """Hold a restatement that takes back what was paid out to the approval of a second person.

    Raises Unapproved: nobody has approved exactly this, or who approved it is who asked for it, or it was too long ago.
    """
    if not restated.taken_back or day.dry_run:
        return
    on, run = day.settlement_date, books.days.run(day.run_id)
    asked, _ = questions(books, on, restated, now=now)
    is_approved = (found for found in asked if found.decision is Decision.APPROVED and now <= found.expires_at)
    approved_by = {found.decided_by for found in is_approved}
    if approved_by - {run.triggered_by if run else None}:
        return
    amounts = ", ".join(f"{amount} {currency}" for currency, amount in sorted(restated.taken_back.items()))
    said = f"Settling [{on}] again takes back [{amounts}] that was paid out, which needs a second person's approval: "
    if approved_by:
        said += f"[{approved_by.pop()}] asked for it and cannot approve it. "
    raise Unapproved(
        f"{said}`settlement restate {on} --dry-run` shows it, `settlement restate {on} --approve --by NAME` approves"
        " it; then clear this task"
    )


class Unkept:
    """Frozen inputs that a dry run would keep: they stand in memory, beside those that are kept."""

    def __init__(self, kept: Snapshots) -> None:
        self._kept = kept
        self._frozen: dict[tuple[str, str], frames.Inputs] = {}

    def freeze(self, name: str, inputs: frames.Inputs) -> str:
        """Remember the inputs, and return a name in place of their hash."""
        sha256 = f"unkept {len(self._frozen) + 1}"
        self._frozen[name, sha256] = inputs
        return sha256

    def load(self, name: str, *, input_sha256: str) -> frames.Inputs:
        """Return inputs that were remembered, or kept."""
        return self._frozen.get((name, input_sha256)) or self._kept.load(name, input_sha256=input_sha256)

    def table(self, name: str, table: str, *, input_sha256: str) -> pd.DataFrame:
        """Return one frame of inputs that are kept."""
        return self._kept.table(name, table, input_sha256=input_sha256)


def _reason(books: Books, day: DayRun) -> Why:
    """Return why a run may change what was settled: its own reason, or of a backfill or a scheduled run its id."""
    if day.dry_run:
        return Why(reason="dry run", by=None)
    run = books.days.run(day.run_id)
    said = run.reason if run else None
    return Why(
        reason=said or (day.run_id if day.run_type in ("backfill", "scheduled") else None),
        by=run.triggered_by if run else None,
    )


def _arrived(
    books: Books, source: SourceSnapshot, outcome: Outcome, taken: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, datetime]]:
    """Return what an outcome takes, and when each of it came: as offered, or else as books or source say."""
    took = arrivals.taken(outcome.repayments)
    asked = arrivals.elsewhere(took, taken)
    known = pd.concat([books.replays.booked(asked), source.repayments(asked)]) if asked else taken.head(0)
    came = {name: at.to_pydatetime() for name, at in zip(known["repayment_id"], known["received_at"], strict=True)}
    return took, taken, came


def _unsettled(books: Books, loans: Sequence[str]) -> pd.DataFrame:
    """Return the repayments of the loans that were taken, or taken over, and are neither settled nor cancelled."""
    taken, opened = books.replays.unsettled(loans), books.opening.receipts(loans)
    return pd.concat([taken, opened[~opened["repayment_id"].isin(taken["repayment_id"])]], ignore_index=True)


def _offered(
    unsettled: pd.DataFrame,
    fresh: pd.DataFrame,
    windows: Windows,
    *,
    on: date,
    settled: set[date],
    opened: Set[str],
) -> pd.DataFrame:
    """Return the repayments that a date takes: of its own window, of settled windows before it, and taken over ones."""
    offered = pd.concat([unsettled, fresh], ignore_index=True)
    came_on = [windows.date_of(at.to_pydatetime()) for at in offered["received_at"]]
    is_offered = np.array([came == on or (came < on and came in settled) for came in came_on], dtype=np.bool_)
    is_offered |= offered["repayment_id"].isin(opened).to_numpy()
    return offered[is_offered].reset_index(drop=True)


def _refunds_asked(books: Books, source: SourceSnapshot, loans: Sequence[str], before: datetime) -> pd.DataFrame:
    """Return the refunds of the loans that were asked for before an instant."""
    asked = opening.refunds_of_ours(books, source.refunds(before))
    return asked[asked["loan_id"].isin(loans)]


def _refunds(books: Books, asked: pd.DataFrame, windows: Windows, on: date) -> pd.DataFrame:
    """Return the refunds that a date decides, of those that were asked for."""
    asked = asked[asked["requested_at"] < windows.of(on).until_at_exclusive]
    if asked.empty:
        return asked.reset_index(drop=True)
    taken = books.inputs.refunded(on, asked["refund_id"].tolist())
    return asked[~asked["refund_id"].isin(taken)].reset_index(drop=True)


def _settle(
    services: Services,
    books: Books,
    source: SourceSnapshot,
    facts: Facts,
    taken: pd.DataFrame,
    asked: pd.DataFrame,
    held: Set[str],
    on: date,
) -> tuple[frames.Inputs, Outcome]:
    """Return what a date sees of the loans that have money on it, new or held, and what it comes to."""
    has_money = facts.loans["loan_id"].isin({*taken["loan_id"], *asked["loan_id"], *held})
    chosen = facts.loans[has_money]
    notes = facts.notes[facts.notes["loan_id"].isin(chosen["loan_id"])]
    holdings = facts.holdings[facts.holdings["note_id"].isin(notes["note_id"])]
    originals = _originals(books, source, taken)
    seen = replace(
        facts,
        loans=chosen.reset_index(drop=True),
        notes=notes.reset_index(drop=True),
        holdings=holdings.reset_index(drop=True),
        investors=facts.investors[facts.investors["investor_id"].isin(holdings["investor_id"])].reset_index(drop=True),
        receivables=facts.receivables[facts.receivables["loan_id"].isin(chosen["loan_id"])].reset_index(drop=True),
        repayments=taken,
        originals=originals,
        refunds=asked,
    )
    inputs = books.inputs.see(on, seen)
    outcome = settle.settle_day(inputs, services.policy, on)
    controls.check_outcome(outcome)
    return inputs, outcome


def _originals(books: Books, source: SourceSnapshot, taken: pd.DataFrame) -> pd.DataFrame:
    """Return the repayments that reversals name: as the books have them, or as the source does where they have none."""
    named = taken["reverses_repayment_id"].dropna().unique().tolist()
    booked = books.replays.booked(named)
    others = sorted({*named} - {*booked["repayment_id"]})
    return pd.concat([booked, source.repayments(others)], ignore_index=True) if others else booked


def _post(
    services: Services,
    books: Books,
    day: DayRun,
    loans: Sequence[str],
    inputs: frames.Inputs,
    outcome: Outcome,
    arrived: pd.DataFrame,
    *,
    on: date,
    why: Why,
    now: datetime,
) -> int | None:
    """Post what a date comes to now as its next revision, and return that; None where all of it stands already.

    Raises Refused: nobody said why.
    """
    moved = books.replays.moved_on(on, loans)
    again = sorted({*moved, *inputs.loans["loan_id"], *arrived["loan_id"]}, key=str.encode)
    differences = restatement.differences(books.replays.entries(on, again), outcome)
    found = books.days.find(on)
    assert found is not None
    if differences.entries.empty and _rows_stand(outcome, books.replays.rows(on, again)):
        books.outcomes.take_again(
            replace(day, settlement_date=on, revision=found.revision), outcome, arrived=arrived, now=now
        )
        return None
    if why.reason is None:
        raise Refused(
            f"[{on}] is settled and would change for loans [{', '.join(again[:5])}]{' …' if len(again) > 5 else ''},"
            " and nobody said why. Trigger the run with a reason: `settlement restate DATE --reason TEXT`, or"
            " `reason` in the run's conf; a dry run shows the difference first"
        )
    revised = replace(day, settlement_date=on, revision=found.revision + 1)
    with extract.usable_source(revised):
        input_sha256 = services.snapshots.freeze(extract.snapshot_name(revised), inputs)
    books.outcomes.keep_frozen(revised, input_sha256, books_version=books.outcomes.version(), now=now)
    books.outcomes.revise(
        revised,
        outcome,
        differences,
        loans=again,
        arrived=arrived,
        policy=services.policy,
        input_sha256=input_sha256,
        code_version=services.code_version,
        reason=why.reason,
        by=why.by,
        now=now,
    )
    return revised.revision


def _undo_again(services: Services, books: Books, loans: Sequence[str], *, after: date, now: datetime) -> None:
    """Let what people returned of refunds after a date follow what these took, where a replay of the loans changed it.

    As much is returned as a person said, at most what the refund took by now and is unpaid: a refund that no run takes
    any more has returned nothing, and takes its credit from no later run.
    """
    for undone in books.refunds.undone(after, loans):
        parts = list(refunds.unpaid_parts(books.refunds.parts(undone.refund_id, on=after), undone.amount))
        stands = [part for _, part in undone.standing]
        if sorted(parts, key=str) == sorted(stands, key=str):
            continue
        settlement_date = apply.open_date(services, books, after)
        books.refunds.take_back(undone, settlement_date=settlement_date, now=now)
        unpaid = -books.journal.balance(BORROWER_PAYABLE(undone.refund_id), undone.currency)
        books.refunds.undo(
            undone,
            list(refunds.unpaid_parts(parts[::-1], max(unpaid, 0))),
            after=after,
            settlement_date=settlement_date,
            reason=undone.reason,
            by=undone.by,
            now=now,
        )


def _rows_stand(outcome: Outcome, booked: Mapping[str, pd.DataFrame]) -> bool:
    """Tell whether the rows of an outcome are those that the books have, loan by loan in the same order."""
    shares = frames.widen(outcome.shares, outcome.allocations)
    kept_back = [
        outcome.quarantine.rename(columns={"repayment_id": "subject_id"}),
        outcome.refused_refunds.rename(columns={"refund_id": "subject_id"}),
    ]
    computed = {
        "allocations": outcome.allocations,
        "shares": shares,
        "credits": outcome.credits,
        "kept_back": pd.concat([frame.astype("object") for frame in kept_back]).sort_values("subject_id"),
    }
    return all(
        computed[name][list(rows.columns)].astype(rows.dtypes.to_dict()).reset_index(drop=True).equals(rows)
        for name, rows in booked.items()
    )


def findings(outcome: Outcome) -> list[Finding]:
    """Return what an outcome found that somebody has to see to."""
    return [
        Finding(
            cause=row["cause"],
            subject_kind=row["subject_kind"],
            subject_id=row["subject_id"],
            currency=None if pd.isna(row["currency"]) else row["currency"],
            amount=row["amount"],
            evidence={"rows": row["evidence"]},
        )
        for row in outcome.breaks.to_dict("records")
    ]
