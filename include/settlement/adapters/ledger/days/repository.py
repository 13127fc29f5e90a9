"""The part of the books that knows the days: their states, their runs, and which run may write."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import date, datetime

import sqlalchemy as sa

from settlement.adapters.ledger.days.backfills import Backfills
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.days import DayState, Window
from settlement.domain.errors import Displaced
from settlement.domain.payments.state import PayoutState
from settlement.ports.days import Day, DayRun, DayTotals, PayoutSum, Run, RunRequest, SettledDate

HERE = __package__
COLUMNS = tuple(field.name for field in fields(Day))


class Days(Repository):
    """Days, runs and the fence."""

    def __init__(self, transaction: sa.Connection, backfills: Backfills) -> None:
        super().__init__(transaction)
        self._backfills = backfills

    def open(self, request: RunRequest, *, settlement_date: date, now: datetime) -> DayRun:
        """Open the day for this run, which displaces any other, and return what the run works on."""
        if request.dry_run:
            found = self.find(settlement_date)
            return DayRun(
                settlement_date=settlement_date,
                revision=max(1, found.revision) if found else 1,
                run_id=request.run_id,
                dry_run=True,
                transfer=False,
                run_type=request.run_type,
                clear_number=request.clear_number,
                kept_conf=request.kept_conf,
            )
        revision = self.transaction.execute(
            sql(HERE, "open"),
            {"on": settlement_date, "run": request.run_id, "now": now},
        ).scalar_one()
        day = DayRun(
            settlement_date=settlement_date,
            revision=max(1, revision),
            run_id=request.run_id,
            backfill_id=self._backfills.join(now=now) if request.run_type == "backfill" else None,
            transfer=request.transfer,
            run_type=request.run_type,
            clear_number=request.clear_number,
            kept_conf=request.kept_conf,
        )
        self.transaction.execute(
            sql(HERE, "begin_run"),
            {
                "run": request.run_id,
                "on": settlement_date,
                "revision": day.revision,
                "type": request.run_type,
                "backfill": int(day.backfill_id) if day.backfill_id else None,
                "by": request.triggered_by,
                "reason": request.reason,
                "now": now,
            },
        )
        return day

    def hold_fence(self, day: DayRun) -> None:
        """Prove that the day still names this run, and keep it so until the transaction ends.

        Raises Displaced: it names another.
        """
        holder = self.transaction.execute(
            sa.text("select run_id from ledger.days where settlement_date = :on for no key update"),
            {"on": day.settlement_date},
        ).scalar()
        if holder != day.run_id:
            raise Displaced(
                f"Settlement date [{day.settlement_date}] belongs to run [{holder}] by now: run [{day.run_id}] stops"
                " here and has written nothing since. Nothing is to be done unless the other run fails"
            )

    def find(self, settlement_date: date) -> Day | None:
        """Return the day's row, or None when it was never opened."""
        row = (
            self.transaction.execute(
                sa.text("select * from ledger.days where settlement_date = :on"), {"on": settlement_date}
            )
            .mappings()
            .first()
        )
        if row is None:
            return None
        return Day(**{name: row[name] for name in COLUMNS} | {"state": DayState(row["state"])})

    def set_state(self, settlement_date: date, state: DayState, *, now: datetime, failure: str | None = None) -> None:
        """Say where the day stands; the first time that it is settled or closed keeps its instant."""
        self.transaction.execute(
            sa.text(
                "update ledger.days set state = :state, failure = :failure,"
                " settled_at = case when :state in ('settled', 'settled_with_breaks', 'closed')"
                "   then coalesce(settled_at, :now) else settled_at end,"
                " closed_at = case when :state = 'closed' then coalesce(closed_at, :now) else closed_at end"
                " where settlement_date = :on"
            ),
            {"on": settlement_date, "state": state, "failure": failure, "now": now},
        )

    def run(self, run_id: str) -> Run | None:
        """Return one run: who triggered it, why, and how it ended."""
        row = self.transaction.execute(sql(HERE, "run"), {"id": run_id}).mappings().first()
        return Run(**row) if row else None

    def payout_sums(self, settlement_date: date | None) -> list[PayoutSum]:
        """Return how many payouts of a date, or of all, stand in each state, and their amount, by currency."""
        rows = self.transaction.execute(
            sa.text(
                "select currency, state, count(*) as count, sum(amount)::bigint as amount from ledger.payouts"
                " where settlement_date = :on or cast(:on as date) is null"
                " group by currency, state order by currency, state"
            ),
            {"on": settlement_date},
        ).mappings()
        return [PayoutSum(**{**row, "state": PayoutState(row["state"])}) for row in rows]

    def end_run(self, day: DayRun, *, outcome: str, now: datetime) -> None:
        """Keep how the run ended."""
        self.transaction.execute(
            sa.text(
                "update ledger.runs set ended_at = :now, outcome = :outcome, revision = :revision where run_id = :run"
            ),
            {"run": day.run_id, "outcome": outcome, "now": now, "revision": day.revision},
        )

    def note_controls(self, on: date, names: Sequence[str], *, is_held: bool, now: datetime) -> None:
        """Keep what came of controls that ran for a date; the newest result of each stands."""
        self.transaction.execute(
            sa.text(
                "insert into ledger.control_results (settlement_date, control, is_held, ran_at)"
                " select :on, control, :held, :now from unnest(cast(:names as text[])) control"
                " on conflict (settlement_date, control) do update set is_held = excluded.is_held, ran_at = :now"
            ),
            {"on": on, "names": list(names), "held": is_held, "now": now},
        )

    def controls_of(self, on: date) -> dict[str, bool]:
        """Return which controls ran for a date, and whether each held."""
        rows = self.transaction.execute(
            sa.text("select control, is_held from ledger.control_results where settlement_date = :on order by 1"),
            {"on": on},
        )
        return {row.control: row.is_held for row in rows}

    def newest(self) -> date | None:
        """Return the newest settlement date that was opened."""
        return self.transaction.execute(sa.text("select max(settlement_date) from ledger.days")).scalar()

    def settled(self) -> list[date]:
        """Return the settlement dates whose outcome is posted, oldest first."""
        return list(
            self.transaction.execute(
                sa.text("select settlement_date from ledger.days where revision > 0 order by settlement_date")
            ).scalars()
        )

    def settled_since(self, since: datetime) -> list[SettledDate]:
        """Return the dates that were settled, restated or closed at that instant or later, oldest first."""
        rows = self.transaction.execute(sql(HERE, "settled_since"), {"since": since}).mappings()
        return [SettledDate(**{**row, "state": DayState(row["state"])}) for row in rows]

    def begun_before(self, settlement_date: date) -> list[date]:
        """Return the older dates that a run has taken on and none has posted, oldest first."""
        return list(
            self.transaction.execute(
                sa.text(
                    "select settlement_date from ledger.days where revision = 0 and settlement_date < :on"
                    " order by settlement_date"
                ),
                {"on": settlement_date},
            ).scalars()
        )

    def windows(self) -> dict[date, Window]:
        """Return the window of each settled date, as it was when the date was settled."""
        rows = self.transaction.execute(
            sa.text("select settlement_date, window_from, window_until from ledger.days where window_from is not null")
        )
        return {row.settlement_date: Window(row.window_from, row.window_until) for row in rows}

    def keep_window(self, settlement_date: date, window: Window) -> None:
        """Keep the window of a date that is being settled; one that it has stays."""
        self.transaction.execute(
            sa.text(
                "update ledger.days set window_from = :from_at, window_until = :until"
                " where settlement_date = :on and window_from is null"
            ),
            {"on": settlement_date, "from_at": window.from_at, "until": window.until_at_exclusive},
        )

    def is_newest(self, settlement_date: date) -> bool:
        """Tell whether no date after this one is settled."""
        settled = self.settled()
        return not settled or settled[-1] <= settlement_date

    def unclosed(self) -> list[date]:
        """Return the settled days that are not closed, oldest first."""
        return list(
            self.transaction.execute(
                sa.text(
                    "select settlement_date from ledger.days where state in ('settled', 'settled_with_breaks')"
                    " order by settlement_date"
                )
            ).scalars()
        )

    def totals(self, settlement_date: date) -> list[DayTotals]:
        """Return the newest revision's totals, one for each currency."""
        rows = self.transaction.execute(sql(HERE, "totals"), {"on": settlement_date}).mappings()
        return [DayTotals(**row) for row in rows]
