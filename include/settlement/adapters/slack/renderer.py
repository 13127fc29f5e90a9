"""Turns rows of the outbox into Slack messages.

Method: the catalogue's title and lines are filled with the event's typed fields, written by `Words` (escaped, without
credentials); tables, the error text, what to do and the links follow; `fit` then keeps the whole within Slack's
limits. A line with an empty field is left out. Every message has `text` in both languages for notifications.
The day's root shows the totals as one table that adds up; if it does not, the message says so first.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from string import Formatter
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from settlement.adapters.slack import block_kit
from settlement.adapters.slack.block_kit import Block
from settlement.adapters.slack.catalogue import NOTHING, Words, Written, escape, money, percent, safe
from settlement.domain.alerts.breaks import SHOWN_BREAKS, BreaksOpened
from settlement.domain.alerts.day import (
    BackfillSummary,
    ControlBroken,
    CurrencyTotals,
    DayCompleted,
    DayDryRun,
    DayEvent,
    DayProgress,
    DayRestated,
    DayStarted,
    Step,
    StepState,
)
from settlement.domain.alerts.event import Event, Money, Severity
from settlement.domain.alerts.payload import Payload, events_of
from settlement.domain.alerts.payouts import (
    ApprovalNeeded,
    Decided,
    PayoutsRejected,
    TakingBackNeeded,
)
from settlement.domain.alerts.routing import AlertsPolicy, Language
from settlement.domain.alerts.task import RunRefused, TaskFailed, TaskRetry
from settlement.domain.alerts.watch import AlertAcknowledged, AlertsUndelivered, Resolved
from settlement.domain.commands import PROGRAM, typed_as
from settlement.domain.days import SETTLED

MAX_TEXT = 3_000

_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]{1,250}")  # Airflow's own rule for run ids
_ICONS = {Severity.INFO: "🔵", Severity.WARNING: "🟠", Severity.CRITICAL: "🔴"}
_STEP_ICONS = {
    StepState.RUNNING: "⏳",
    StepState.WAITING: "⏸️",
    StepState.DONE: "✅",
    StepState.FAILED: "❌",
}
_PAYOUT_ICONS = {
    "paid": "💸",
    "prepared": "📝",
    "in_transit": "🏦",
    "held": "⏸️",
    "unknown": "❓",
    "rejected": "↩️",
}
RESOLVED = "✅"

TOTALS = ("received", "distributed", "fee", "vat", "national", "local", "cost", "credit", "quarantined", "refunded")
_TOTAL_FIELDS = {"national": "national_tax_amount", "local": "local_tax_amount"}

# The page of docs/runbook/ that belongs to an event.
RUNBOOKS = {
    "task.failed": "task-failed",
    "payouts.unknown": "payouts-unknown",
    "payouts.rejected": "payouts-rejected",
    "breaks.opened": "breaks-opened",
    "deadline.risk": "deadline",
    "deadline.missed": "deadline",
    "run.absent": "run-absent",
    "control.broken": "control-broken",
    "alerts.undelivered": "alerts-undelivered",
}
LISTS = {
    "payouts.unknown": ("payouts", "payouts?state=unknown"),
    "payouts.rejected": ("payouts", "payouts?state=rejected"),
    "breaks.opened": ("breaks", "breaks"),
    "breaks.aged": ("breaks", "breaks"),
}
"""Of events that a list of the operator's pages shows: the button, and where below the pages it leads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the outbox as it is to be shown."""

    kind: str
    event: str
    severity: Severity
    channel: str
    dedupe_key: str
    problem_key: str
    payload: Payload
    thread: str
    created_at: datetime
    settlement_date: date | None = None
    resolved_at: datetime | None = None

    @property
    def repetition(self) -> int:
        """Which reminder of an unresolved problem this is; 0: it is told for the first time."""
        found = re.search(r":again:(\d+)$", self.problem_key)
        return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackMessage:
    """What goes to `chat.postMessage` or `chat.update`."""

    text: str
    blocks: list[Block] = field(default_factory=list)
    broadcast: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Renderer:
    """Renders rows for the channels of a policy."""

    policy: AlertsPolicy
    zone: ZoneInfo
    airflow_url: str | None = None
    runbook_url: str | None = None
    program: str = PROGRAM
    is_now_set: bool = False

    def message(
        self,
        row: Row,
        *,
        members: Sequence[Row] = (),
        open_problems: int = 0,
        language: Language | None = None,
    ) -> SlackMessage:
        """Return the row's message, in its channel's language unless another one is asked for.

        `members` are the failures shown with it, `open_problems` stands in a root.
        """
        words = Words(language=language, zone=self.zone) if language else self._words(row.channel)
        try:
            events = events_of(row.payload)
        except (KeyError, ValueError):
            # Written by a newer or older version: people still hear that there is something, and where.
            return self._unknown(row, words)
        if row.kind == "root" and row.thread.startswith(("day:", "backfill:")):
            return self._root(row, events, words, open_problems=open_problems)
        return self._event(row, events, words, members=members)

    def question(self, asked: ApprovalNeeded | TakingBackNeeded, *, open_for: timedelta) -> tuple[str, str]:
        """Return what a second person is asked in Airflow: a line, and Markdown that says what the message says.

        How long it is open is said instead of until when: a question that is asked again is open for its whole time.
        """
        words = Words(language=self.policy.language, zone=self.zone)
        fields = _fields(asked, words)
        kind = asked.name.partition(".")[0]
        names = _places(str(words.catalogue[kind]["subject"]))
        subject = words.say(kind, "subject", **{name: Written(fields[name]) for name in names})
        said = [f"- {line}" for line in _lines(dataclasses.replace(asked, expires_at=None), words)]
        said.append("- " + words.say(kind, "open_for", duration=Written(words.duration(open_for))))
        body = "\n".join(said).replace("*", "**") + "\n\n" + words.say(kind, "exactly", batch=asked.batch)
        return _unescaped(subject), body

    def _words(self, channel: str) -> Words:
        own = next((known.language for known in self.policy.channels if known.id == channel), None)
        return Words(language=own or self.policy.language, zone=self.zone)

    def _both(self, words: Words, say: Any) -> str:
        other = Words(language="en" if words.language == "ko" else "ko", zone=self.zone)
        return f"{say(words)} / {say(other)}"

    # ------------------------------------------------------------------------------------------------- one event

    def _event(self, row: Row, events: Mapping[str, Event], words: Words, *, members: Sequence[Row]) -> SlackMessage:
        current = next(event for event in reversed(list(events.values())) if event.name == row.event)
        icon = RESOLVED if row.resolved_at or row.event == "resolved" else _ICONS[row.severity]
        mention = self._mention(row)
        blocks: list[Block] = [
            block_kit.section(f"{icon} *{_title(current, words)}*" + (f" {mention}" if mention else ""))
        ]
        if row.settlement_date:
            blocks.append(block_kit.context(words.say("words", "settlement_date", date=row.settlement_date)))
        if row.repetition:
            blocks.append(block_kit.context("🔁 " + words.say("words", "again", number=row.repetition)))
        for event in events.values():
            blocks += self._body(event, words)
        if members:
            blocks += self._members([row, *members], words)
        blocks += self._advice(current, words, is_over=bool(row.resolved_at))
        if row.resolved_at:
            blocks.append(block_kit.context(f"{RESOLVED} " + _resolved_after(row, words)))
        blocks += self._footer(words)
        return fit(
            SlackMessage(
                text=" ".join(
                    part
                    for part in (
                        icon,
                        row.settlement_date.isoformat() if row.settlement_date else "",
                        self._both(words, lambda tongue: _title(current, tongue)),
                    )
                    if part
                ),
                blocks=blocks,
                broadcast=row.severity is Severity.CRITICAL and not row.resolved_at,
            )
        )

    def _mention(self, row: Row) -> str:
        """Return the mention of who must look now: only for critical news, never for a reminder's edit."""
        who = self.policy.mention
        if row.severity is not Severity.CRITICAL or row.resolved_at or not re.fullmatch(r"[A-Z0-9]{3,20}", who):
            return ""
        return f"<!subteam^{who}>" if who.startswith("S") else f"<@{who}>"

    def _body(self, event: Event, words: Words) -> list[Block]:
        lines = _lines(event, words)
        blocks = [block_kit.section("\n".join(lines))] if lines else []
        if isinstance(event, DayDryRun):
            blocks += [*_not_adding_up(event.totals, words), *_totals_table(event.totals, words)]
        if (isinstance(event, TaskFailed) and event.error not in ("", event.code)) or isinstance(event, RunRefused):
            said = typed_as(event.error, self.program).replace("```", "'''")
            blocks.append(block_kit.section("```" + escape(said) + "```"))
        if isinstance(event, BreaksOpened) and event.breaks:
            rows = [
                [
                    words.cause(line.cause, line.subject_kind),
                    money(line.amount),
                    f"{line.age_business_days:,}",
                    safe(line.subject_id),
                    safe(line.break_id),
                ]
                for line in event.breaks[:SHOWN_BREAKS]
            ]
            more = event.count - len(rows)
            blocks.append(block_kit.table([words.catalogue["events"][event.name]["table"], *rows], numbers={1, 2}))
            blocks += [block_kit.context(words.say("words", "more", count=more))] if more > 0 else []
        return blocks

    def _members(self, rows: Sequence[Row], words: Words) -> list[Block]:
        """Return the table of failures that are one message: what failed, and where its log is."""
        failed = [event for row in rows for event in events_of(row.payload).values()]
        lines = [
            [safe(event.task), f"{event.map_index}", f"{event.try_number}", _failure(event, words)]
            for event in failed
            if isinstance(event, TaskFailed | TaskRetry)
        ]
        return [
            block_kit.section(words.say("words", "also", count=len(lines))),
            block_kit.table([["task", "map_index", "try", "code"], *lines], numbers={1, 2}),
        ]

    def _advice(self, event: Event, words: Words, *, is_over: bool) -> list[Block]:
        blocks: list[Block] = []
        todo = typed_as(str(words.catalogue["events"][event.name]["do"]), escape(self.program))
        page = RUNBOOKS.get(event.name)
        run = self._run_page(getattr(event, "run_id", ""))
        if todo and not is_over:
            blocks.append(block_kit.section(f"👉 *{words.say('words', 'todo')}* {todo}"))
        blocks += self._links(
            words,
            log=getattr(event, "log_url", None),
            approval=f"{run}/required_actions"
            if run and isinstance(event, ApprovalNeeded | TakingBackNeeded)
            else None,
            **self._pages(event),
            run=run,
            runbook=f"{self.runbook_url.rstrip('/')}/{page}.md" if page and self.runbook_url else None,
        )
        if page and not self.runbook_url:
            blocks.append(block_kit.context(f"{words.say('words', 'runbook')}: docs/runbook/{page}.md"))
        return blocks

    def _pages(self, event: Event) -> dict[str, str | None]:
        """Return where the operator's pages show what an event is about: a list of such things, and its date."""
        button, path = LISTS.get(event.name, ("", ""))
        lists = {button: self._page(path)} if button else {}
        return lists | {"day": self._day_page(event.settlement_date)}

    def _day_page(self, on: date | None) -> str | None:
        return self._page(f"day/{on}") if on else None

    def _page(self, path: str) -> str | None:
        return f"{self.airflow_url.rstrip('/')}/settlement/{path}" if self.airflow_url else None

    def _run_page(self, run_id: str) -> str | None:
        if not self.airflow_url or not _RUN_ID.fullmatch(run_id):
            return None
        return f"{self.airflow_url.rstrip('/')}/dags/daily_settlement/runs/{quote(run_id, safe='')}"

    def _links(self, words: Words, **urls: str | None) -> list[Block]:
        return block_kit.links({words.say("words", word): url for word, url in urls.items()})

    def _footer(self, words: Words) -> list[Block]:
        if not self.is_now_set:
            return []
        return [block_kit.context("🕰️ " + words.say("words", "now_is_set"))]

    def _unknown(self, row: Row, words: Words) -> SlackMessage:
        def say(tongue: Words) -> str:
            return tongue.say("words", "unknown_event", event=row.event)

        return fit(
            SlackMessage(
                text=self._both(words, say),
                blocks=[
                    block_kit.section(f"{_ICONS[row.severity]} *{say(words)}*"),
                    block_kit.context(safe(row.dedupe_key)),
                ],
                broadcast=row.severity is Severity.CRITICAL and row.kind == "reply",
            )
        )

    # -------------------------------------------------------------------------------------------------- the roots

    def _root(self, row: Row, events: Mapping[str, Event], words: Words, *, open_problems: int) -> SlackMessage:
        compose = self._backfill if row.thread.startswith("backfill:") else self._day
        title, blocks = compose(row, events, words)
        icon = _root_icon(row, events, open_problems=open_problems)
        blocks.insert(0, block_kit.header(f"{icon} {title(words)}"))
        if open_problems:
            blocks.insert(1, block_kit.section("🔴 *" + words.say("day", "open_problems", count=open_problems) + "*"))
        return fit(SlackMessage(text=f"{icon} {self._both(words, title)}", blocks=[*blocks, *self._footer(words)]))

    def _day(self, row: Row, events: Mapping[str, Event], words: Words) -> tuple[Any, list[Block]]:
        started = events.get("day.started")
        completed = events.get("day.completed")
        state = completed.state if isinstance(completed, DayCompleted) else "running" if events else "none"

        def title(tongue: Words) -> str:
            day = row.settlement_date or date.min
            return tongue.say("day", "title", date=day, state=Written(tongue.code("day_states", state)))

        head: list[str] = []
        if isinstance(started, DayStarted):
            if started.expected or started.repayment_count:
                head.append(
                    words.say("day", "expected", repayment_count=started.repayment_count, expected=started.expected)
                )
            if started.deadline_at and not isinstance(completed, DayCompleted):
                head.append(words.say("day", "deadline", deadline_at=started.deadline_at))
            if started.revision > 1:
                head.append(words.say("day", "revision", revision=started.revision))
        steps = [_step(event, words) for event in _progress(events)]
        blocks = [block_kit.section(text) for text in (" · ".join(head), "\n".join(steps)) if text]
        if isinstance(completed, DayCompleted):
            blocks += _completed(completed, words)
        runs = [event.run_id for event in events.values() if isinstance(event, DayEvent) and event.run_id]
        day = self._day_page(row.settlement_date) if events else None
        blocks += self._links(words, day=day, run=self._run_page(runs[-1] if runs else ""))
        return title, blocks

    def _backfill(self, row: Row, events: Mapping[str, Event], words: Words) -> tuple[Any, list[Block]]:
        summary = events.get("backfill.summary")
        is_over = isinstance(summary, BackfillSummary)
        backfill_id = row.thread.removeprefix("backfill:")

        def title(tongue: Words) -> str:
            state = Written(tongue.code("step_states", "done" if is_over else "running"))
            return tongue.say("backfill", "title", backfill_id=backfill_id, state=state)

        blocks: list[Block] = []
        if isinstance(summary, BackfillSummary):
            said = words.say(
                "backfill",
                "summary",
                ok_count=summary.ok_count,
                changed_count=summary.changed_count,
                failed_count=summary.failed_count,
            )
            if summary.difference_paid:
                said += "\n" + words.say("backfill", "difference", difference_paid=summary.difference_paid)
            blocks.append(block_kit.section(said))
        days = sorted({e.settlement_date for e in events.values() if isinstance(e, DayEvent) and e.settlement_date})
        if days:
            columns = [words.say("backfill", c) for c in ("date", "state", "received", "distributed", "paid", "breaks")]
            shown = days[-(block_kit.MAX_TABLE_ROWS - 1) :]
            blocks.append(
                block_kit.table([columns, *(_backfill_line(d, events, words) for d in shown)], numbers={2, 3, 4, 5})
            )
            if len(shown) < len(days):
                blocks.append(block_kit.context(words.say("words", "more", count=len(days) - len(shown))))
        return title, blocks


def plain(message: SlackMessage) -> str:
    """Return the message as plain text, for e-mail and the terminal."""
    text = (block_kit.plain(message.blocks) or message.text).replace("```", "")
    text = re.sub(r" ?<[!@][^>]*>", "", re.sub(r"\*([^*\n]+)\*", r"\1", text))
    return _unescaped(text)


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def without_blocks(message: SlackMessage) -> SlackMessage:
    """Return the message as one section, for a Slack that refuses the blocks it was given."""
    return dataclasses.replace(message, blocks=[block_kit.section(escape(plain(message)))])


def fit(message: SlackMessage) -> SlackMessage:
    """Return the message within Slack's limits."""
    return dataclasses.replace(
        message, text=block_kit.clip(message.text, MAX_TEXT), blocks=block_kit.fit(message.blocks)
    )


def _title(event: Event, words: Words) -> str:
    template = str(words.catalogue["events"][event.name]["title"])
    fields = _fields(event, words)
    return template.format(**{name: fields[name] or NOTHING for name in _places(template)})


def _lines(event: Event, words: Words) -> list[str]:
    """Return the catalogue's lines of an event; one with an empty field is left out."""
    fields = _fields(event, words)
    return [
        line.format(**{name: fields[name] for name in _places(line)})
        for line in words.catalogue["events"][event.name]["lines"]
        if all(fields[name] for name in _places(line))
    ]


def _fields(event: Event, words: Words) -> dict[str, str]:
    """Return every field of the event as it is written; what is zero is said only where the catalogue asks for it."""
    values = {item.name: getattr(event, item.name) for item in dataclasses.fields(event)}
    written = {name: words.write(name, value) for name, value in values.items() if name != "breaks"}
    if isinstance(event, TaskFailed):
        written["task"] = words.write("task", event.task or event.run_id)
        written["next"] = str(words.catalogue["next"][event.money.state])
    if isinstance(event, TaskFailed | TaskRetry):
        written["code"] = _failure(event, words)
    if isinstance(event, PayoutsRejected):
        meaning = words.catalogue["bank_codes"].get(event.code)
        written["code"] = safe(event.code) + (f" ({meaning})" if meaning else "")
    if isinstance(event, AlertsUndelivered):
        written["code"] = safe(event.code)
    if isinstance(event, Resolved | AlertAcknowledged):
        written["problem_event"] = words.code("kinds", event.problem_event)
    if isinstance(event, Decided):
        written["approved"] = words.say("words", "approved" if event.approved else "rejected")
    if isinstance(event, DayRestated) and event.loan_count > len(event.loans):
        written["loans"] += " …"
    if isinstance(event, ControlBroken):
        written["stands"] = written["stands"] if event.stands else ""
    if isinstance(event, BreaksOpened):
        for count in ("missing_payout_count", "doubled_payout_count", "oldest_business_days"):
            written[count] = written[count] if values[count] else ""
    return written


def _failure(event: TaskFailed | TaskRetry, words: Words) -> str:
    return words.code("failures", event.code)


def _resolved_after(row: Row, words: Words) -> str:
    assert row.resolved_at is not None
    return words.say("words", "resolved", duration=Written(words.duration(row.resolved_at - row.created_at)))


def _root_icon(row: Row, events: Mapping[str, Event], *, open_problems: int) -> str:
    completed = events.get("day.completed") or events.get("backfill.summary")
    if open_problems:
        return "🔴"
    if isinstance(completed, DayCompleted) and completed.state not in SETTLED:
        return {"none": "⚪", "failed": "🔴"}.get(completed.state, "🔵")
    if isinstance(completed, BackfillSummary) and completed.failed_count:
        return "🟠"
    if isinstance(completed, DayCompleted | BackfillSummary):
        return "🟠" if row.severity is Severity.WARNING else "🟢"
    return "🔵" if events else "⚪"


def _progress(events: Mapping[str, Event]) -> list[DayProgress]:
    found = {event.step: event for event in events.values() if isinstance(event, DayProgress)}
    return [found[step] for step in Step if step in found]


def _step(event: DayProgress, words: Words) -> str:
    rows = Written(words.say("day", "rows", count=event.row_count)) if event.row_count else Written("")
    return (
        str(words.catalogue["day"]["step"])
        .format(
            icon=_STEP_ICONS[event.state],
            step=words.code("steps", event.step),
            state=words.code("step_states", event.state),
            rows=rows,
            at=f"{event.at.astimezone(words.zone):%H:%M}",
        )
        .strip()
    )


def _completed(day: DayCompleted, words: Words) -> list[Block]:
    """Return what the day came to: totals as one table, then payouts, matching, controls, breaks and the deadline."""
    blocks = _not_adding_up(day.totals, words)
    lines = [*_against_deadline(day, words), *_payout_lines(day, words), *_match_lines(day, words)]
    if day.controls_total:
        lines.append(words.say("day", "controls", passed=day.controls_passed, total=day.controls_total))
    blocks += [block_kit.section("\n".join(lines))] if lines else []
    if day.breaks:
        causes = [
            words.say(
                "day",
                "break_line",
                cause=Written(words.cause(item.cause, item.subject_kind)),
                count=item.count,
                amount=item.amount,
            )
            for item in day.breaks[:20]
        ]
        blocks.append(
            block_kit.section("*" + words.say("day", "breaks", count=day.break_count) + "*\n" + "\n".join(causes))
        )
    return blocks + _totals_table(day.totals, words)


def _not_adding_up(totals: Sequence[CurrencyTotals], words: Words) -> list[Block]:
    """Return a warning for each currency whose totals leave something over."""
    return [
        block_kit.section(
            "⚠️ *"
            + words.say(
                "day",
                "does_not_add_up",
                currency=item.currency,
                amount=Money(amount=item.unexplained_amount, currency=item.currency),
            )
            + "*"
        )
        for item in totals
        if item.unexplained_amount
    ]


def _totals_table(totals: Sequence[CurrencyTotals], words: Words) -> list[Block]:
    """Return the totals as one table with a column for each currency; nothing where there are none."""
    if not totals:
        return []
    shown = totals[: block_kit.MAX_TABLE_COLUMNS - 1]
    head = [words.say("day", "item"), *(safe(item.currency) for item in shown)]
    return [block_kit.table([head, *_total_rows(shown, words)], numbers=set(range(1, len(head))))]


def _total_rows(totals: Sequence[CurrencyTotals], words: Words) -> list[list[str]]:
    rows = []
    for name in TOTALS:
        amounts = [
            Money(amount=getattr(item, _TOTAL_FIELDS.get(name, f"{name}_amount")), currency=item.currency)
            for item in totals
        ]
        if name in ("received", "distributed") or any(amount.amount for amount in amounts):
            rows.append([words.say("day", name), *(money(amount) for amount in amounts)])
    return rows


def _against_deadline(day: DayCompleted, words: Words) -> list[str]:
    if day.completed_at is None:
        return []
    if day.deadline_at is None:
        return [words.say("day", "completed", completed_at=day.completed_at)]
    left = day.deadline_at - day.completed_at
    return [
        words.say(
            "day",
            "in_time" if left.total_seconds() >= 0 else "late",
            completed_at=day.completed_at,
            duration=Written(words.duration(abs(left))),
        )
    ]


def _payout_lines(day: DayCompleted, words: Words) -> list[str]:
    lines = []
    for payouts in day.payouts:
        for name, icon in _PAYOUT_ICONS.items():
            count = getattr(payouts, f"{name}_count")
            if count or name == "paid":
                amount = Money(amount=getattr(payouts, f"{name}_amount"), currency=payouts.currency)
                lines.append(f"{icon} " + words.say("day", name, count=count, amount=amount))
    return lines


def _match_lines(day: DayCompleted, words: Words) -> list[str]:
    return [
        words.say(
            "day",
            "matched",
            by_count=Written(percent(item.matched_count, item.line_count)),
            by_amount=Written(percent(item.matched_amount, item.line_amount)),
        )
        for item in day.matches
        if item.line_count
    ] + [
        words.say("day", "matched_by_amount", count=item.by_amount_count, currency=item.currency)
        for item in day.matches
        if item.by_amount_count
    ]


def _backfill_line(day: date, events: Mapping[str, Event], words: Words) -> list[str]:
    completed = events.get(f"{day}/day.completed")
    if not isinstance(completed, DayCompleted):
        steps = [event for event in events.values() if isinstance(event, DayProgress)]
        has_failed = any(step.state is StepState.FAILED for step in steps if step.settlement_date == day)
        state = words.code("day_states", "failed" if has_failed else "running")
        return [words.date(day), state, NOTHING, NOTHING, NOTHING, NOTHING]

    def amounts(name: str, items: Sequence[Any]) -> str:
        return " · ".join(money(Money(amount=getattr(i, name), currency=i.currency)) for i in items) or NOTHING

    return [
        words.date(day),
        words.code("day_states", completed.state),
        amounts("received_amount", completed.totals),
        amounts("distributed_amount", completed.totals),
        amounts("paid_amount", completed.payouts),
        f"{completed.break_count:,}",
    ]


def _places(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]
