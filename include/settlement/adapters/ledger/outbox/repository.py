"""The outbox: alerts are written in the transaction of what they tell of, one row per event and channel.

What always holds:
- A key is one row per channel. The same event again is a conflict and changes nothing.
- A standing message (the day's root, an approval, an input) is one row whose payload grows; `version` says that there
  is something new to show. A message that is shown is edited, never posted again.
- The payload of a row is `slot -> {event, fields}`: one slot for an ordinary event, several for a standing one.
- Writers never wait for a sender: a sender locks a thread in a mode that lets rows be added to it.
"""

import dataclasses
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.alerts import routing
from settlement.domain.alerts.day import DayCompleted, DayEvent
from settlement.domain.alerts.event import AlertState, Event, Severity, summary_key
from settlement.domain.alerts.payload import Payload, fold, of_event
from settlement.domain.alerts.routing import AlertsPolicy
from settlement.domain.alerts.watch import AlertAcknowledged, Resolved
from settlement.ports.outbox import Alert

HERE = __package__

THREAD = "thread"
"""The event of a root message that only holds the place of a day that has not begun."""


class Outbox(Repository):
    """The outbox in one transaction: what tells of something is committed with it, or not at all."""

    def __init__(self, transaction: sa.Connection, *, alerts: AlertsPolicy) -> None:
        super().__init__(transaction)
        self._alerts = alerts

    def record(self, event: Event, *, now: datetime) -> bool:
        """Write the event in the caller's transaction, one row per channel that wants it.

        It is False when every channel has it already (or none wants it): nothing was changed.
        """
        if isinstance(event, Resolved):
            return self._resolve_one(event, now=now)
        channels = routing.recipients(event, self._alerts)
        if isinstance(event, DayEvent):
            # A channel that wants only critical events still shows the day above them as it is.
            channels += [channel for channel in self._channels_of(event.thread) if channel not in channels]
            self._keep_own_message_true(event, now=now)
        write = self._stand if event.standing else self._insert
        is_new = False
        for channel in channels:
            is_new |= write(event, channel=channel, now=now)
        for problem in routing.closes(event) if is_new else ():
            self._resolve_all(settlement_date=event.settlement_date, problem_event=problem, now=now)
        return is_new

    def is_told(self, event: Event) -> bool:
        """Tell whether an event of this name and key was recorded, of whatever date and in whatever channel."""
        return bool(
            self.transaction.execute(
                sa.text("select exists (select from ledger.alert_outbox where event = :event and problem_key = :key)"),
                {"event": event.name, "key": event.key},
            ).scalar()
        )

    def attach(
        self,
        *,
        settlement_date: date,
        name: str,
        title: str,
        content: bytes,
        key: str,
        now: datetime,
    ) -> bool:
        """Put a file into the day's thread, in every channel that shows the day; False: it is there already."""
        thread = f"day:{settlement_date.isoformat()}"
        is_new = False
        for channel in self._channels_of(thread):
            if channel == routing.EMAIL:
                continue
            root_id = self._thread(thread, channel=channel, settlement_date=settlement_date)
            alert_id = self.transaction.execute(
                sql(HERE, "insert"),
                {
                    "root_id": root_id,
                    "kind": "file",
                    "date": settlement_date,
                    "event": DayCompleted.name,
                    "severity": Severity.INFO,
                    "channel": channel,
                    "dedupe_key": f"{settlement_date.isoformat()}:{key}",
                    "key": key,
                    "group": None,
                    "payload": "{}",
                    "state": AlertState.PENDING,
                    "now": now,
                },
            ).scalar_one_or_none()
            if alert_id is not None:
                self.transaction.execute(
                    sa.text("insert into ledger.alert_files values (:alert_id, :name, :title, :content)"),
                    {"alert_id": alert_id, "name": name, "title": title, "content": content},
                )
                is_new = True
        return is_new

    def listing(
        self, *, settlement_date: date | None = None, state: AlertState | None = None, limit: int = 200
    ) -> list[Alert]:
        """Return the alerts of a date, or in a state, newest first."""
        rows = self.transaction.execute(
            sa.text(
                """
                select * from reporting.alerts
                 where (cast(:settlement_date as date) is null or settlement_date = :settlement_date)
                   and (cast(:state as text) is null or state = :state)
                 order by alert_id desc limit :limit
                """
            ),
            {"settlement_date": settlement_date, "state": state, "limit": limit},
        )
        return [Alert(**{**row, "state": AlertState(row["state"])}) for row in rows.mappings()]

    def resend(self, *, alert_ids: Sequence[int] | None = None) -> int:
        """Make failed rows (all, or these) pending again and let waiting threads try at once; return how many rows."""
        rows = self.transaction.execute(
            sa.text(
                """
                update ledger.alert_outbox set state = 'pending', last_error = null
                 where state = 'failed' and (cast(:ids as bigint[]) is null or alert_id = any(:ids))
                returning root_id
                """
            ),
            {"ids": list(alert_ids) if alert_ids is not None else None},
        ).all()
        self.transaction.execute(
            sa.text(
                """
                update ledger.alert_roots set next_try_at = 'epoch', failures = 0
                 where root_id in (select root_id from ledger.alert_outbox where state = 'pending')
                """
            )
        )
        return len(rows)

    def acknowledge(self, alert_id: int, *, by: str, now: datetime) -> bool:
        """Let nobody be reminded of a critical problem, in any channel, and say below each message who took it on."""
        problems = [
            row
            for row in self.transaction.execute(sql(HERE, "open_problems", "of_alert"), {"alert_id": alert_id})
            if row.severity == Severity.CRITICAL
        ]
        for row in problems:
            self.transaction.execute(
                sa.text("update ledger.alert_outbox set repeat_at = null, repeats = :all where alert_id = :alert_id"),
                {"alert_id": row.alert_id, "all": routing.REPEATS},
            )
            acknowledged = AlertAcknowledged(
                settlement_date=row.settlement_date,
                backfill_id=_backfill_of(row.thread),
                problem=row.problem_key,
                problem_event=row.event,
                by=by,
                at=now,
            )
            self._write_row(
                acknowledged,
                root_id=row.root_id,
                kind="reply",
                channel=row.channel,
                payload=of_event(acknowledged),
                now=now,
            )
        return bool(problems)

    def repeat_unresolved(self, *, now: datetime, limit: int = 100) -> int:
        """Say again what is critical and was told half an hour ago, six times at most; return how many that were."""
        due = self.transaction.execute(
            sa.text(
                """
                select alert_id, repeats from ledger.alert_outbox
                 where repeat_at <= :now order by repeat_at limit :limit for no key update skip locked
                """
            ),
            {"now": now, "limit": limit},
        ).all()
        for alert_id, repeats in due:
            self.transaction.execute(
                sql(HERE, "repeat"),
                {"alert_id": alert_id, "number": str(repeats + 1), "now": now},
            )
            self.transaction.execute(
                sa.text(
                    "update ledger.alert_outbox set repeats = :repeats, repeat_at = cast(:repeat_at as timestamptz)"
                    " where alert_id = :alert_id"
                ),
                {
                    "alert_id": alert_id,
                    "repeats": repeats + 1,
                    "repeat_at": now + routing.REPEAT_EVERY if repeats + 1 < routing.REPEATS else None,
                },
            )
        return len(due)

    def shown(self, thread: str) -> Payload:
        """Return what the root of a thread shows, in the channel that knows most."""
        payload = self.transaction.execute(
            sa.text(
                """
                select payload from ledger.alert_outbox join ledger.alert_roots using (root_id)
                 where thread = :thread and kind = 'root' order by version desc limit 1
                """
            ),
            {"thread": thread},
        ).scalar()
        return payload or {}

    def open_problems(self, thread: str) -> int:
        """Return how many critical problems of a thread are not over."""
        found = self.transaction.execute(
            sa.text(
                "select count(distinct o.dedupe_key)"
                "  from ledger.alert_outbox o join ledger.alert_roots r using (root_id)"
                " where r.thread = :thread and o.kind = 'reply' and o.severity = 'critical' and o.resolved_at is null"
                "   and o.state <> 'suppressed' and o.leader_id is null and o.event <> 'resolved'"
                "   and o.problem_key not like '%:again:%'"
            ),
            {"thread": thread},
        )
        return int(found.scalar_one())

    def _channels_of(self, thread: str) -> list[str]:
        return list(
            self.transaction.execute(
                sa.text("select channel from ledger.alert_roots where thread = :thread order by root_id"),
                {"thread": thread},
            ).scalars()
        )

    def _thread(self, thread: str, *, channel: str, settlement_date: date | None) -> int:
        key = {"thread": thread, "channel": channel}
        self.transaction.execute(
            sa.text(
                "insert into ledger.alert_roots (thread, channel, settlement_date) values (:thread, :channel, :date)"
                " on conflict (thread, channel) do nothing"
            ),
            {**key, "date": settlement_date},
        )
        return int(
            self.transaction.execute(
                sa.text("select root_id from ledger.alert_roots where thread = :thread and channel = :channel"), key
            ).scalar_one()
        )

    def _insert(self, event: Event, *, channel: str, now: datetime) -> bool:
        """Write an ordinary event: a reply under its thread's root, or a message that stands alone."""
        root_id = self._thread(event.thread, channel=channel, settlement_date=event.settlement_date)
        is_root = event.opens_thread or event.thread == event.dedupe_key
        if not is_root:
            self._hold_place(event, root_id=root_id, channel=channel, now=now)
        payload = of_event(event)
        number = self._times_resolved(event, channel=channel) + 1 if event.recurs else 1
        is_told = event.covered_by is not None and self._is_told(event, channel=channel)
        is_mute = (
            is_told
            or routing.is_silent(event, channel)
            or (event.covers is not None and self._says_better(event, payload, channel=channel))
        )
        written = self._write_row(
            event,
            root_id=root_id,
            kind="root" if is_root else "reply",
            channel=channel,
            payload=payload,
            state=AlertState.SUPPRESSED if is_mute else AlertState.PENDING,
            number=number,
            now=now,
        )
        if is_told:
            return False
        if written and event.severity is Severity.CRITICAL and not is_root:
            self._touch_root(root_id)
        return written

    def _times_resolved(self, event: Event, *, channel: str) -> int:
        """Return how often this was told and is over: the next time is news, told under a number of its own."""
        return int(
            self.transaction.execute(
                sa.text(
                    "select count(*) from ledger.alert_outbox where channel = :channel and resolved_at is not null"
                    " and (dedupe_key = :key or starts_with(dedupe_key, :key || '#'))"
                    " and problem_key not like '%:again:%'"
                ),
                {"channel": channel, "key": event.dedupe_key},
            ).scalar_one()
        )

    def _is_told(self, event: Event, *, channel: str) -> bool:
        """Tell whether the channel has more exact news about the same thing."""
        return bool(
            self.transaction.execute(
                sa.text(
                    "select exists (select from ledger.alert_outbox"
                    " where event = :event and channel = :channel and starts_with(problem_key, :beginning)"
                    " and state <> 'suppressed')"
                ),
                {"event": event.name, "channel": channel, "beginning": event.covered_by},
            ).scalar()
        )

    def _says_better(self, event: Event, payload: Payload, *, channel: str) -> bool:
        """Let a message that knows less say this instead (it is edited); False: there is no such message."""
        changed = self.transaction.execute(
            sa.text(
                """
                update ledger.alert_outbox
                   set payload = :payload, problem_key = :key, version = version + 1, state = 'pending'
                 where event = :event and channel = :channel and starts_with(problem_key, :beginning)
                   and state in ('pending', 'delivered')
                """
            ),
            {
                "payload": _json(payload),
                "key": event.key,
                "event": event.name,
                "channel": channel,
                "beginning": event.covers,
            },
        )
        return changed.rowcount > 0

    def _stand(self, event: Event, *, channel: str, now: datetime) -> bool:
        """Write an event that edits a standing message, or be the first to write that message."""
        root_id = self._thread(event.thread, channel=channel, settlement_date=event.settlement_date)
        if not event.opens_thread:
            self._hold_place(event, root_id=root_id, channel=channel, now=now)
        kind = "root" if event.opens_thread else "reply"
        first = fold(self.shown(event.thread) if event.opens_thread else {}, event)
        if self._write_row(event, root_id=root_id, kind=kind, channel=channel, payload=first, now=now):
            return True
        alert_id, payload = self.transaction.execute(
            sa.text(
                "select alert_id, payload from ledger.alert_outbox where dedupe_key = :key and channel = :channel"
                " for no key update"
            ),
            {"key": event.dedupe_key, "channel": channel},
        ).one()
        folded = fold(payload, event)
        if folded == payload:
            return False
        self.transaction.execute(
            sa.text(
                """
                update ledger.alert_outbox
                   set payload = :payload, event = :event, severity = :severity, version = version + 1,
                       state = case when state = 'suppressed' then state else 'pending' end
                 where alert_id = :alert_id
                """
            ),
            {"alert_id": alert_id, "payload": _json(folded), "event": event.name, "severity": event.severity},
        )
        return True

    def _keep_own_message_true(self, event: DayEvent, *, now: datetime) -> None:
        """Let a date that had a message of its own before its backfill show there, too, how it stands by now."""
        if event.backfill_id:
            own = dataclasses.replace(event, backfill_id=None)
            for channel in self._channels_of(own.thread):
                self._stand(own, channel=channel, now=now)

    def _hold_place(self, event: Event, *, root_id: int, channel: str, now: datetime) -> None:
        """Make sure that the thread has a root message to reply to, showing what other channels know of the day."""
        if self.transaction.execute(
            sa.text("select 1 from ledger.alert_outbox where root_id = :root_id and kind = 'root'"),
            {"root_id": root_id},
        ).first():
            return
        self.transaction.execute(
            sql(HERE, "insert"),
            {
                "root_id": root_id,
                "kind": "root",
                "date": event.settlement_date,
                "event": THREAD,
                "severity": Severity.INFO,
                "channel": channel,
                "dedupe_key": summary_key(event.thread),
                "key": "summary",
                "group": None,
                "payload": _json(self.shown(event.thread)),
                "state": AlertState.PENDING,
                "now": now,
            },
        )

    def _write_row(
        self,
        event: Event,
        *,
        root_id: int,
        kind: str,
        channel: str,
        payload: Payload,
        now: datetime,
        state: AlertState = AlertState.PENDING,
        number: int = 1,
    ) -> bool:
        again = f"#{number}" if number > 1 else ""
        values = {
            "root_id": root_id,
            "kind": kind,
            "date": event.settlement_date,
            "event": event.name,
            "severity": event.severity,
            "channel": channel,
            "dedupe_key": event.dedupe_key + again,
            "key": event.key + again,
            "group": event.group,
            "payload": _json(payload),
            "state": state,
            "now": now,
        }
        return self.transaction.execute(sql(HERE, "insert"), values).first() is not None

    def _resolve_one(self, event: Resolved, *, now: datetime) -> bool:
        key = event.dedupe_key.replace("resolved:", "", 1)
        rows = self.transaction.execute(sql(HERE, "open_problems", "of_key"), {"key": key}).all()
        return self._resolve(rows, now=now)

    def _resolve_all(self, *, settlement_date: date | None, problem_event: str, now: datetime) -> bool:
        """Resolve what was told of the date, in its own thread or in that of a backfill."""
        rows = self.transaction.execute(
            sql(HERE, "open_problems", "of_event"),
            {"date": settlement_date, "event": problem_event},
        ).all()
        return self._resolve(rows, now=now)

    def _resolve(self, rows: Sequence[sa.Row[Any]], *, now: datetime) -> bool:
        """Mark the problems as over (their messages turn ✅, repetitions end) and say so below each of them."""
        for row in rows:
            self.transaction.execute(
                sa.text(
                    """
                    update ledger.alert_outbox
                       set resolved_at = :now, repeat_at = null, version = version + 1,
                           state = case when state = 'delivered' then 'pending' else state end
                     where alert_id = :alert_id
                    """
                ),
                {"alert_id": row.alert_id, "now": now},
            )
            resolved = Resolved(
                settlement_date=row.settlement_date,
                backfill_id=_backfill_of(row.thread),
                problem=row.problem_key,
                problem_event=row.event,
                after_minutes=max(int((now - row.created_at) / timedelta(minutes=1)), 0),
            )
            self._write_row(
                resolved,
                root_id=row.root_id,
                kind="reply",
                channel=row.channel,
                payload=of_event(resolved),
                now=now,
            )
            if row.severity == Severity.CRITICAL:
                self._touch_root(row.root_id)
        return bool(rows)

    def _touch_root(self, root_id: int) -> None:
        """Let the root message be edited: how many problems are open is part of what it shows."""
        self.transaction.execute(
            sa.text(
                """
                update ledger.alert_outbox
                   set version = version + 1, state = case when state = 'delivered' then 'pending' else state end
                 where root_id = :root_id and kind = 'root'
                """
            ),
            {"root_id": root_id},
        )


def _backfill_of(thread: str) -> str | None:
    return thread.removeprefix("backfill:") if thread.startswith("backfill:") else None


def _json(payload: Payload) -> str:
    return json.dumps(payload, ensure_ascii=False)
