"""Delivers what the outbox holds, so that every message stands in Slack exactly once and in order in its thread.

Method. One transaction locks a thread (`for no key update skip locked`) for as long as its messages are sent; the
server frees the lock when the process dies. A second connection commits what happened, message by message:
before a message is posted, that it may be (`uncertain_since`); afterwards its `ts`, and the attempt.
A message that may have been posted is looked for by the dedupe key in its metadata before it is posted again, and not
before the former request can no longer be on its way.

What an answer means: Slack's 429: nothing was posted, wait as told · no connection: nothing was posted, back off · no
answer, none of Slack's own (a proxy's, whatever its status), `internal_error`: unknown, back off and look first · a
refused message goes out without its blocks, then by e-mail, edits included · a refused channel or token fails what the
thread holds and goes out by e-mail · a message that somebody has deleted is posted anew, a root before its replies.

Known limit: e-mail has no search. A process that dies between the mail server's answer and its commit mails twice,
under the same Message-ID.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
import structlog

from settlement.adapters.slack import client, renderer
from settlement.domain.alerts import routing
from settlement.domain.alerts.event import AlertState, Severity
from settlement.ports.outbox import DeliveryReport

log = structlog.get_logger(__name__)

EVENT_TYPE = "settlement_alert"
BATCH = 50
LONGEST_CALL_SECONDS = 10.0
SETTLES_AFTER_SECONDS = 15.0
LONGEST_BACKOFF_SECONDS = 60.0
LOOK_BACK_SECONDS = 600.0
PAGE = 200
LOCK_NOT_AVAILABLE = "55P03"


@dataclass(slots=True, kw_only=True)
class _Later(Exception):
    """The thread must wait: Slack failed (the sender backs off), asked to slow down, or a request may still arrive."""

    seconds: float
    code: str
    kind: Literal["failure", "limited", "unsettled"]


@dataclass(slots=True, kw_only=True)
class Sender:
    """Sends until nothing is due, Slack does not take more, or the time is up."""

    engine: sa.Engine
    slack: client.Slack
    renderer: renderer.Renderer
    now: Callable[[], datetime]
    report: DeliveryReport
    until: float
    is_patient: bool = True
    settles_after: float = SETTLES_AFTER_SECONDS
    longest_call: float = LONGEST_CALL_SECONDS
    _paused: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Send what is due, thread by thread, the ones with critical messages first."""
        while self._left() > 0:
            with self.engine.connect() as lock, lock.begin():
                thread = lock.execute(
                    sa.text(_NEXT_THREAD),
                    {"paused": [name for name, until in self._paused.items() if until > time.monotonic()]},
                ).first()
                if thread is not None:
                    wait, failures = self._thread(thread)
                    lock.execute(
                        sa.text(
                            "update ledger.alert_roots set failures = :failures,"
                            " next_try_at = clock_timestamp() + make_interval(secs => :wait) where root_id = :root_id"
                        ),
                        {"failures": failures, "wait": wait, "root_id": thread.root_id},
                    )
            if thread is None and not self._wait_for_slack():
                return

    def _thread(self, thread: sa.Row[Any]) -> tuple[float, int]:
        """Send the thread's messages; return how long it must wait then, and how often in a row it has failed."""
        progress = self.report.progress
        try:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                # A writer may hold a row in a long transaction: the sender comes back rather than waits.
                connection.execute(sa.text("set lock_timeout = '2s'"))
                try:
                    _Thread(sender=self, connection=connection, thread=thread).send()
                finally:
                    connection.execute(sa.text("reset lock_timeout"))
            return 0.0, 0
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            return 1.0, int(thread.failures)
        except _Later as later:
            self.report.errors.append(later.code)
            failures = 0 if self.report.progress > progress else int(thread.failures)
            wait = later.seconds
            if later.kind == "failure":
                # With jitter, so that senders that failed together do not come back together.
                wait = min(2.0**failures, LONGEST_BACKOFF_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311
                failures += 1
                # Who is down for one thread is down for all: the rest of this delivery does not knock again.
                self._paused[thread.channel] = self.until + 1
            elif later.kind == "limited":
                self._paused[thread.channel] = time.monotonic() + wait
            log.warning("alerts.delivery_waits", channel=thread.channel, code=later.code, seconds=round(wait, 1))
            return wait, failures

    def _wait_for_slack(self) -> bool:
        """Sleep until Slack, which only asked to slow down, may be called again; False: not within the time."""
        wakes = [until for until in self._paused.values() if time.monotonic() < until < self.until]
        if not wakes or not self.is_patient:
            return False
        time.sleep(max(min(wakes) - time.monotonic(), 0.0) + 0.01)
        return True

    def _left(self) -> float:
        return self.until - time.monotonic()

    def call_seconds(self) -> float:
        """How long the next call may take."""
        return max(min(self.longest_call, self._left()), 0.2)

    def is_time_up(self) -> bool:
        return self._left() <= 0.2


@dataclass(slots=True, kw_only=True)
class _Thread:
    """One locked thread and the connection that keeps its record."""

    sender: Sender
    connection: sa.Connection
    thread: sa.Row[Any]

    def send(self) -> None:
        root = self._root()
        if root is not None and root.message_ts is not None:
            self._miss(root)
            root = self._root()
        if root is not None and root.message_ts is None and root.state == AlertState.PENDING:
            self._deliver(root)
        while not self.sender.is_time_up():
            rows = self._execute(_REPLIES, root_id=self.thread.root_id, limit=BATCH).all()
            for row in rows:
                if self.sender.is_time_up():
                    return
                self._deliver(row)
            if len(rows) < BATCH:
                break
        root = self._root()
        if (
            root is not None
            and root.message_ts is not None
            and root.state == AlertState.PENDING
            and not self.sender.is_time_up()
        ):
            self._deliver(root)

    def _root(self) -> sa.Row[Any] | None:
        return self._execute(_ROOT, root_id=self.thread.root_id).first()

    def _miss(self, root: sa.Row[Any]) -> None:
        """Forget, before anything is replied, a root that somebody deleted: nobody would see what is said below it."""
        rows = self._execute(_REPLIES, root_id=self.thread.root_id, limit=BATCH).all()
        if not rows or not self._is_deleted(root, waiting=rows[0]):
            return
        for row in rows:
            self._is_found(row, root.message_ts, is_same=row.version == 1 and row.group_key is None)
        self._forget(root, method="conversations.replies", code="thread_not_found")

    def _is_deleted(self, root: sa.Row[Any], *, waiting: sa.Row[Any]) -> bool:
        try:
            asked = {"channel": root.channel, "ts": root.message_ts, "limit": 1}
            answer = self._call(waiting, "conversations.replies", asked, is_read=True)
        except client.CallRefused as refusal:
            return refusal.is_deleted  # who may not read may still post
        return any(message.get("subtype") == "tombstone" for message in answer["messages"][:1])

    def _deliver(self, row: sa.Row[Any], *, is_anew: bool = False) -> None:
        """Bring Slack to show the row as it is now: post it, find it, or edit it; post anew what somebody deleted."""
        members: Sequence[sa.Row[Any]] = ()
        if row.group_key is not None:
            row = self._execute(_ROW, alert_id=row.alert_id).one()
            if row.leader_id is not None or row.state != AlertState.PENDING or self._joins(row):
                return
            members = self._adopt(row)
        try:
            if row.kind == "file":
                self._upload(row)
            elif row.message_ts is not None:
                self._edit(row, members)
            else:
                self._post(row, members)
        except client.CallRefused as refusal:
            deleted = row if row.message_ts is not None else self._root()
            if is_anew or deleted is None or not refusal.is_deleted:
                self._refused(row, refusal)
                return
            self._forget(deleted, method=_method(row), code=refusal.code, reply=row)
            if deleted.alert_id != row.alert_id:
                self._deliver(self._execute(_ROW, alert_id=deleted.alert_id).one())
            row = self._execute(_ROW, alert_id=row.alert_id).one()
            if row.state == AlertState.PENDING:
                self._deliver(row, is_anew=True)

    # ------------------------------------------------------------------------------------------------ one message

    def _post(self, row: sa.Row[Any], members: Sequence[sa.Row[Any]]) -> None:
        root_ts = None if row.kind == "root" else self._root_ts()
        if row.kind != "root" and root_ts is None:
            raise client.CallRefused("thread_has_no_root")
        if self._is_found(row, root_ts, is_same=row.version == 1 and not members):
            return
        message = self._render(row, members)
        arguments = self._arguments(row, message) | ({"thread_ts": root_ts} if root_ts else {})
        if root_ts and message.broadcast:
            arguments["reply_broadcast"] = True
        self._mark_uncertain(row)
        answer = self._call(row, "chat.postMessage", arguments, message=message)
        self.sender.report.posted += 1
        self._shown(row, str(answer["ts"]), sent_version=row.version, method="chat.postMessage")

    def _edit(self, row: sa.Row[Any], members: Sequence[sa.Row[Any]]) -> None:
        message = self._render(row, members)
        arguments = self._arguments(row, message) | {"ts": row.message_ts}
        self._call(row, "chat.update", arguments, message=message)
        self.sender.report.edited += 1
        self._shown(row, row.message_ts, sent_version=row.version, method="chat.update")

    def _upload(self, row: sa.Row[Any]) -> None:
        """Put a file into the thread: its bytes first, then the message, which is looked for by the file's id."""
        root_ts = self._root_ts()
        if self._is_found(row, root_ts, is_same=True):
            return
        file = self._execute("select * from ledger.alert_files where alert_id = :alert_id", alert_id=row.alert_id).one()
        place = self._call(
            row,
            "files.getUploadURLExternal",
            {"filename": file.file_name, "length": len(file.content)},
            is_read=True,
        )
        try:
            self.sender.slack.upload(place["upload_url"], bytes(file.content), timeout=self.sender.call_seconds())
        except client.SlackError as error:
            self._explain(row, "upload", error)
        self._execute(
            "update ledger.alert_outbox set file_ref = :ref where alert_id = :alert_id",
            ref=place["file_id"],
            alert_id=row.alert_id,
        )
        self._mark_uncertain(row)
        self._call(
            row,
            "files.completeUploadExternal",
            {
                "files": [{"id": place["file_id"], "title": file.title}],
                "channel_id": row.channel,
                "thread_ts": root_ts,
            },
        )
        self.sender.report.posted += 1
        self._shown(row, place["file_id"], sent_version=row.version, method="files.completeUploadExternal")

    def _render(self, row: sa.Row[Any], members: Sequence[sa.Row[Any]]) -> renderer.SlackMessage:
        open_problems = 0
        if row.kind == "root":
            open_problems = self._execute(_OPEN_CRITICALS, root_id=row.root_id).scalar_one()
        return self.sender.renderer.message(
            as_row(row, self.thread.thread),
            members=[as_row(member, self.thread.thread) for member in members],
            open_problems=open_problems,
        )

    def _arguments(self, row: sa.Row[Any], message: renderer.SlackMessage) -> dict[str, Any]:
        return {
            "channel": row.channel,
            "text": message.text,
            "blocks": message.blocks,
            "unfurl_links": False,
            "unfurl_media": False,
            "metadata": {"event_type": EVENT_TYPE, "event_payload": {"dedupe_key": row.dedupe_key}},
        }

    def _call(
        self,
        row: sa.Row[Any],
        method: str,
        arguments: Mapping[str, Any],
        *,
        message: renderer.SlackMessage | None = None,
        is_read: bool = False,
    ) -> dict[str, Any]:
        """Call Slack once; a refused message is tried once more without its blocks. Raises CallRefused or _Later."""
        try:
            return self.sender.slack.call(method, arguments, timeout=self.sender.call_seconds(), is_read=is_read)
        except client.CallRefused as refusal:
            if (
                message is None
                or refusal.is_destination
                or not refusal.code.startswith(("invalid_", "msg_", "only_one"))
            ):
                raise
            simple = renderer.without_blocks(message)
            self._attempt(row, method, "refused", error=refusal.code)
            return self._call(row, method, {**arguments, "blocks": simple.blocks}, is_read=is_read)
        except client.SlackError as error:
            self._explain(row, method, error)
            raise AssertionError("an error always explains itself") from error

    def _explain(self, row: sa.Row[Any], method: str, error: client.SlackError) -> None:
        """Record what the error means for the row and raise how long its thread waits, or the refusal."""
        if isinstance(error, client.CallRefused):
            raise error
        is_certain = error.is_slacks if isinstance(error, client.Limited) else isinstance(error, client.Unreachable)
        since = "null" if is_certain else "'epoch'" if isinstance(error, client.Unclear) else "clock_timestamp()"
        if method in ("chat.postMessage", "files.completeUploadExternal"):
            self._execute(
                f"update ledger.alert_outbox set uncertain_since = {since} where alert_id = :alert_id",  # noqa: S608
                alert_id=row.alert_id,
            )
        if isinstance(error, client.Limited):
            self._attempt(row, method, "limited", error=error.code)
            raise _Later(seconds=error.retry_after, code=error.code, kind="limited") from error
        self._attempt(row, method, "unknown", error=error.code)
        raise _Later(seconds=0.0, code=error.code, kind="failure") from error

    def _is_found(self, row: sa.Row[Any], root_ts: str | None, *, is_same: bool) -> bool:
        """Tell whether the row, if it may have been posted, stands in Slack; unless it is the same, it is edited next.

        Raises _Later while it may still arrive.
        """
        found = None if row.uncertain_since is None else self._look(row, root_ts)
        if found is None:
            return False
        self.sender.report.found += 1
        self._shown(row, found, sent_version=row.version if is_same else 0, method=_method(row), outcome="found")
        return True

    def _look(self, row: sa.Row[Any], root_ts: str | None) -> str | None:
        """Return the ts of the row's message if it stands in Slack already. Raises _Later while it may still arrive."""
        waited = self._execute(
            "select extract(epoch from clock_timestamp() - uncertain_since) from ledger.alert_outbox"
            " where alert_id = :alert_id",
            alert_id=row.alert_id,
        ).scalar_one()
        remaining = self.sender.settles_after - float(waited)
        if remaining > 0:
            raise _Later(seconds=remaining, code="waits_for_former_request", kind="unsettled")
        method = "conversations.replies" if root_ts else "conversations.history"
        arguments: dict[str, Any] = {"channel": row.channel, "include_all_metadata": True, "limit": PAGE}
        since = self._execute(_FIRST_ATTEMPT, alert_id=row.alert_id).scalar()
        if since is not None:
            arguments["oldest"] = f"{float(since) - LOOK_BACK_SECONDS:.6f}"
        if root_ts:
            arguments["ts"] = root_ts
        while True:
            try:
                answer = self._call(row, method, arguments, is_read=True)
            except client.CallRefused as refusal:
                if refusal.is_deleted:
                    return None  # a thread that is not there holds no message
                raise
            for message in answer.get("messages", []):
                payload = (message.get("metadata") or {}).get("event_payload") or {}
                files = [file.get("id") for file in message.get("files") or []]
                if payload.get("dedupe_key") == row.dedupe_key or (row.file_ref and row.file_ref in files):
                    return str(message["ts"])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None
            arguments["cursor"] = cursor

    # --------------------------------------------------------------------------------------------------- the record

    def _joins(self, row: sa.Row[Any]) -> bool:
        """Show the row in a message of its group that stands already: that message is edited instead."""
        leader = self._execute(
            _LEADER, root_id=row.root_id, group_key=row.group_key, alert_id=row.alert_id
        ).scalar_one_or_none()
        if leader is None:
            return False
        self._execute(
            """
            with joined as (
              update ledger.alert_outbox set leader_id = :leader
               where root_id = :root_id and group_key = :group_key and alert_id > :leader and leader_id is null
                 and message_ts is null and state = 'pending')
            update ledger.alert_outbox set version = version + 1, state = 'pending' where alert_id = :leader
            """,
            leader=leader,
            root_id=row.root_id,
            group_key=row.group_key,
        )
        self._deliver(self._execute(_ROW, alert_id=leader).one())
        return True

    def _adopt(self, row: sa.Row[Any]) -> Sequence[sa.Row[Any]]:
        """Return the failures that are shown with the row, those that wait included."""
        self._execute(
            """
            update ledger.alert_outbox set leader_id = :leader
             where root_id = :root_id and group_key = :group_key and alert_id > :leader and leader_id is null
               and message_ts is null and state = 'pending' and uncertain_since is null
            """,
            leader=row.alert_id,
            root_id=row.root_id,
            group_key=row.group_key,
        )
        return self._execute(_MEMBERS, leader=row.alert_id).all()

    def _root_ts(self) -> str | None:
        root = self._root()
        return None if root is None else root.message_ts

    def _mark_uncertain(self, row: sa.Row[Any]) -> None:
        """Commit, before the message is posted, that it may have been."""
        self._execute(
            "update ledger.alert_outbox set uncertain_since = clock_timestamp(), attempts = attempts + 1"
            " where alert_id = :alert_id",
            alert_id=row.alert_id,
        )

    def _shown(self, row: sa.Row[Any], ts: str, *, sent_version: int, method: str, outcome: str = "done") -> None:
        """Commit that Slack shows the row, and what is shown with it, as of `sent_version`; later changes stay due."""
        now = self.sender.now()
        self.sender.report.progress += 1
        self._execute(
            _SHOWN,
            alert_id=row.alert_id,
            ts=ts,
            sent=sent_version,
            now=now,
            is_repeated=row.severity == Severity.CRITICAL and row.kind == "reply" and ":again:" not in row.problem_key,
            repeat_at=now + routing.REPEAT_EVERY,
            method=method,
            outcome=outcome,
        )

    def _forget(self, row: sa.Row[Any], *, method: str, code: str, reply: sa.Row[Any] | None = None) -> None:
        """Commit that the row's message is no longer in Slack, nor the reply below it, so that they are posted anew."""
        log.warning("alerts.deleted", channel=row.channel, alert=row.event, code=code)
        self._attempt(row, method, "refused", error=code)
        self._execute(
            "update ledger.alert_outbox set message_ts = null, sent_version = 0, state = 'pending'"
            " where alert_id = :alert_id",
            alert_id=row.alert_id,
        )
        if reply is not None:
            self._execute(
                "update ledger.alert_outbox set uncertain_since = null where alert_id = :alert_id",
                alert_id=reply.alert_id,
            )

    def _refused(self, row: sa.Row[Any], refusal: client.CallRefused) -> None:
        """Fail the row, or all that the thread holds when the channel or the token is the reason; e-mail takes over."""
        log.error("alerts.refused", channel=row.channel, alert=row.event, code=refusal.code)
        self.sender.report.errors.append(refusal.code)
        self._attempt(row, _method(row), "refused", error=refusal.code)
        failed = self._execute(
            """
            update ledger.alert_outbox set state = 'failed', last_error = :code, uncertain_since = null
             where alert_id = :alert_id or (leader_id = :alert_id and message_ts is null)
                or (:whole_thread and root_id = :root_id and state = 'pending')
            """,
            code=refusal.code,
            alert_id=row.alert_id,
            # Nothing can be said below a root that cannot be posted.
            whole_thread=refusal.is_destination or (row.kind == "root" and row.message_ts is None),
            root_id=row.root_id,
        )
        self.sender.report.failed += failed.rowcount

    def _attempt(self, row: sa.Row[Any], method: str, outcome: str, *, error: str) -> None:
        """Record an attempt that did not deliver."""
        self._execute(
            """
            with attempt as (
              insert into ledger.alert_attempts (alert_id, method, outcome, error)
              values (:alert_id, :method, :outcome, :error))
            update ledger.alert_outbox set last_error = :error where alert_id = :alert_id
            """,
            alert_id=row.alert_id,
            method=method,
            outcome=outcome,
            error=error,
        )

    def _execute(self, statement: str, **values: Any) -> sa.CursorResult[Any]:
        """Execute a statement of the record; it is committed when this returns."""
        return self.connection.execute(sa.text(statement), values)


def as_row(row: sa.Row[Any], thread: str) -> renderer.Row:
    """Return a row of the outbox as the renderer takes it."""
    return renderer.Row(
        kind=row.kind,
        event=row.event,
        severity=Severity(row.severity),
        channel=row.channel,
        dedupe_key=row.dedupe_key,
        problem_key=row.problem_key,
        payload=row.payload,
        thread=thread,
        created_at=row.created_at,
        settlement_date=row.settlement_date,
        resolved_at=row.resolved_at,
    )


def _method(row: sa.Row[Any]) -> str:
    """Return the call that brings Slack to show the row."""
    if row.kind == "file":
        return "files.completeUploadExternal"
    return "chat.postMessage" if row.message_ts is None else "chat.update"


# One row: the thread to send next, locked. The lock lets writers add rows to the thread meanwhile.
_NEXT_THREAD = """
select r.root_id, r.thread, r.channel, r.failures
  from ledger.alert_roots r
  join lateral (select min(o.alert_id) as first, bool_or(o.severity = 'critical') as is_critical
                  from ledger.alert_outbox o
                 where o.root_id = r.root_id and o.state = 'pending' and o.leader_id is null) waiting
    on waiting.first is not null
 where r.next_try_at <= clock_timestamp() and r.channel <> 'email' and r.channel <> all(cast(:paused as text[]))
 order by waiting.is_critical desc, waiting.first
 limit 1
   for no key update of r skip locked
"""
_ROW = "select * from ledger.alert_outbox where alert_id = :alert_id"
_ROOT = "select * from ledger.alert_outbox where root_id = :root_id and kind = 'root'"
# One row per message of the thread that waits, oldest first.
_REPLIES = """
select * from ledger.alert_outbox
 where root_id = :root_id and state = 'pending' and kind <> 'root' and leader_id is null
 order by alert_id limit :limit
"""
_LEADER = """
select alert_id from ledger.alert_outbox
 where root_id = :root_id and group_key = :group_key and leader_id is null and message_ts is not null
   and state <> 'failed' and alert_id < :alert_id
 order by alert_id limit 1
"""
_MEMBERS = "select * from ledger.alert_outbox where leader_id = :leader order by alert_id"
_OPEN_CRITICALS = """
select count(*) from ledger.alert_outbox
 where root_id = :root_id and kind = 'reply' and severity = 'critical' and resolved_at is null and state <> 'suppressed'
   and leader_id is null and event <> 'resolved' and problem_key not like '%:again:%'
"""
_FIRST_ATTEMPT = """
select extract(epoch from least(min(a.attempted_at), min(nullif(o.uncertain_since, 'epoch'))))
  from ledger.alert_outbox o left join ledger.alert_attempts a using (alert_id) where o.alert_id = :alert_id
"""
# What Slack shows now: the row as of :sent, and the failures that its message tells of with it.
_SHOWN = """
with attempt as (
  insert into ledger.alert_attempts (alert_id, method, outcome) values (:alert_id, :method, :outcome))
update ledger.alert_outbox
   set message_ts = :ts, uncertain_since = null, last_error = null,
       sent_version = case when alert_id = :alert_id then :sent else version end,
       state = case when alert_id = :alert_id and version > :sent then 'pending' else 'delivered' end,
       delivered_at = coalesce(delivered_at, :now),
       repeat_at = case when :is_repeated and alert_id = :alert_id and resolved_at is null and repeats = 0
                        then coalesce(repeat_at, :repeat_at) else repeat_at end
 where alert_id = :alert_id or (leader_id = :alert_id and state = 'pending' and :sent > 0)
"""
