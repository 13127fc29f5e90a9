"""`settlement demo` and what follows it: the five days settled and shown, and Airflow's own pages on the result.

`run` starts the services, prepares the databases, has the story told by a process of Airflow's own, and prints what
became of it. A second run tells the same story to databases that know it: nothing changes, and it says so.
`up` opens Airflow for people on the same data. `command` runs a command of `settlement` on it.

Always: what this starts ends with it, on Ctrl-C as on a crash.
"""

from __future__ import annotations

import contextlib
import json as json_text
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from settlement.adapters.ledger.migrate import migrate
from settlement.domain import policy as policies
from settlement.domain.alerts.routing import Language
from settlement.domain.errors import Refused

from settlement_lab.demo import airflow_home, story, world
from settlement_lab.servers import bank, embedded, ports, services, tether
from settlement_lab.slack import view

Row = dict[str, Any]

WORDS = {
    "en": {
        "services": "PostgreSQL, bank and Slack sink started",
        "databases": "databases prepared",
        "airflow": "Airflow loaded",
        "running": "settling {day} …",
        "approved": "{day} is above the limit: checker approved the payouts",
        "done": "{day} settled",
        "again": "{day} was already settled; nothing changed",
        "afterwards": "the last payouts booked, open days closed",
        "failed": "{day} FAILED in {tasks}: see {log}",
        "title": "Five business days around the Lunar New Year (won)",
        "columns": "date,received,to investors,fees+VAT,taxes,held,refused,refunded,paid out,breaks",
        "total": "total",
        "opened": "break {break_id}, {cause}: {amount} won on [{subject_id}] opened",
        "older": "break {break_id}, {cause}: business days old: {age_business_days}; days by the calendar: {days}",
        "resolved": "break {break_id}, {cause}: resolved by itself; business days old: {age_business_days};"
        " days by the calendar: {days}; {resolution}",
        "bank": "the bank booked {count} payouts of {amount} won in all, as the ledger says; closing balance {closing}",
        "bank_differs": "THE BANK AND THE LEDGER DIFFER: bank {theirs}, ledger {ours}",
        "nothing": "Every day was already settled: this run changed nothing.",
        "slack": "What Slack shows",
        "time": "Time",
        "next": "What to type next",
        "next_up": "Airflow's pages on this data, with users maker, checker and viewer",
        "next_why": "where that investor's money came from, line by line",
        "next_status": "where a date stands",
        "starting_services": "starting PostgreSQL, bank and Slack sink …",
        "starting_airflow": "starting Airflow, about a minute …",
        "place_airflow": "Airflow",
        "place_slack": "Slack",
        "place_bank": "bank",
        "place_log": "log",
        "place_passwords": "passwords",
        "left": "Left for you:",
        "left_approval": "{day} is above the limit and waits: as checker, approve its payouts under Required Actions",
        "left_run": "then, as maker, trigger daily_settlement without a date: it settles {day}",
        "in_another_shell": "In another shell:",
        "end": "Ctrl-C ends everything.",
        "stopping": "stopping: what runs is let end, Ctrl-C again does not wait for it …",
        "stopped": "Stopped. Type the same again to go on from here.",
    },
    "ko": {
        "services": "PostgreSQL, 은행, Slack 싱크 시작",
        "databases": "데이터베이스 준비",
        "airflow": "Airflow 준비",
        "running": "{day} 정산 중 …",
        "approved": "{day} 한도 초과: checker가 지급을 승인",
        "done": "{day} 정산 완료",
        "again": "{day} 이미 정산됨, 변경 없음",
        "afterwards": "마지막 지급 기장 확인, 미마감일 마감",
        "failed": "{day} 실패: {tasks}. {log} 참조",
        "title": "설 연휴 전후 5영업일 (원)",
        "columns": "정산일,수납,투자자 귀속,수수료+부가세,세금,보류금,격리,환급,지급,차이",
        "total": "합계",
        "opened": "차이 {break_id} {cause} 발생: [{subject_id}] {amount}원",
        "older": "차이 {break_id} {cause} 경과 {age_business_days}영업일, 달력으로 {days}일",
        "resolved": "차이 {break_id} {cause} 자동 해소: {age_business_days}영업일, 달력으로 {days}일. {resolution}",
        "bank": "은행 기장 지급 {count}건 {amount}원, 원장과 일치. 마감 잔액 {closing}원",
        "bank_differs": "은행과 원장이 다릅니다: 은행 {theirs}, 원장 {ours}",
        "nothing": "모든 날이 이미 정산되어 있어 이번 실행은 아무것도 바꾸지 않았습니다.",
        "slack": "Slack 화면",
        "time": "소요 시간",
        "next": "다음에 입력할 명령",
        "next_up": "이 데이터로 Airflow 화면 열기 (사용자 maker, checker, viewer)",
        "next_why": "그 투자자의 돈이 어디서 왔는지 한 줄씩",
        "next_status": "하루의 상태",
        "starting_services": "PostgreSQL, 은행, Slack 싱크 시작 중 …",
        "starting_airflow": "Airflow 시작 중, 1분쯤 걸립니다 …",
        "place_airflow": "Airflow",
        "place_slack": "Slack",
        "place_bank": "은행",
        "place_log": "로그",
        "place_passwords": "비밀번호",
        "left": "직접 해 볼 일:",
        "left_approval": "{day} 지급이 한도를 넘어 기다립니다: checker로 Required Actions에서 승인하세요",
        "left_run": "그다음 maker로 daily_settlement를 날짜 없이 실행하면 {day}이 정산됩니다",
        "in_another_shell": "다른 셸에서:",
        "end": "Ctrl-C로 모두 끝냅니다.",
        "stopping": "중지 중: 실행 중인 작업이 끝나기를 기다립니다. 기다리지 않으려면 Ctrl-C …",
        "stopped": "중지했습니다. 같은 명령을 다시 입력하면 이어서 진행합니다.",
    },
}

DAYS = """
-- One row per settlement date.
select d.settlement_date, d.state, d.revision, d.received_amount, d.distributed_amount,
       d.fee_amount + d.vat_amount as fee_amount, d.national_tax_amount + d.local_tax_amount as tax_amount,
       d.credit_amount, d.quarantined_amount, d.refunded_amount,
       coalesce((select sum(amount) from reporting.payouts p where p.settlement_date = d.settlement_date
                 and p.currency = d.currency and p.state not in ('rejected', 'returned')), 0)::bigint as paid_amount,
       (select count(*) from reporting.breaks b where b.opened_on = d.settlement_date) as break_count
  from reporting.settlement_days d
 order by d.settlement_date
"""
BREAKS = """
-- One row per break.
select break_id, cause, subject_id, amount, opened_on, age_business_days, state, resolved_on, resolution
  from reporting.breaks order by break_id
"""
AMOUNTS = ("received", "distributed", "fee", "tax", "credit", "quarantined", "refunded", "paid")
EARLY = clock_time(5, 0)
SETTLED = "settled"  # the file that says that a home holds a settled demo
NARROWEST = 104
FINGERPRINT = """
-- One row: how much there is of everything that a run could add.
select (select count(*) from reporting.journal), (select count(*) from reporting.payouts),
       (select count(*) from reporting.shares_all_revisions), (select count(*) from reporting.statement_lines),
       (select count(*) from reporting.breaks), (select count(*) from reporting.alerts),
       (select count(*) from reporting.settlement_days_all_revisions)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What a run of the demo came to."""

    days: list[Row]
    conversations: dict[str, Any]
    already_settled: list[str]
    changed: bool
    seconds: dict[str, float]
    bank_booked: dict[str, int]
    ledger_booked: dict[str, int]
    closing_balance: int
    investor: str
    breaks: list[Row] = field(default_factory=list)
    failure: str | None = None

    @property
    def agrees(self) -> bool:
        """Tell whether the bank's own record of payments is the ledger's."""
        return self.bank_booked == self.ledger_booked


@dataclass(slots=True, kw_only=True)
class _Stopwatch:
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name], self.began = round(now - self.began, 1), now


def run(home: Path | None = None, *, json: bool = False, lang: Language | None = None) -> int:
    """Settle the demo's days in `home` and print what became of them; 0 if every day settled and the bank agrees.

    A new home speaks `lang` everywhere, by default the language of the terminal; one that is there keeps to its own.
    """
    home, console = _home(home), _console(stderr=json)
    lang = lang or airflow_home.language(home)
    words = WORDS[lang]
    try:
        outcome = _settle(home, words, console, lang=lang)
    except KeyboardInterrupt:
        console.print(words["stopped"])
        return 1
    except (airflow_home.CannotStart, embedded.CannotStart, services.CannotStart) as error:
        console.print(str(error), style="bold red", markup=False)
        return 1
    if json:
        print(_as_json(outcome))
    else:
        _show(outcome, words, console, home=home)
    return 0 if outcome.failure is None and outcome.agrees else 1


def command(words: Sequence[str], *, home: Path | None = None) -> int:
    """Run a command of `settlement` on the demo's data, at the demo's hour, and return its exit status.

    The services run for as long as that takes; nothing else makes a command look at the demo.

    Raises Refused: there is no settled demo.
    """
    home = _home(home)
    if not (home / SETTLED).exists():
        raise Refused(f"There is no settled demo in [{home}]: type `settlement demo` first")
    with services.running(home) as endpoints:
        environment = airflow_home.environment(endpoints) | _environment(endpoints)
        return subprocess.call([sys.executable, "-m", "settlement.cli", *words], env=environment)


def up(home: Path | None = None, *, json: bool = False, lang: Language | None = None) -> int:
    """Open Airflow on the demo's data until Ctrl-C; the demo is run first if there is no data yet."""
    home, console = _home(home), _console(stderr=json)
    words = WORDS[lang or airflow_home.language(home)]
    if not (home / SETTLED).exists() and (status := run(home, lang=lang, json=json)):
        return status
    try:
        with ExitStack() as stack:
            with _waiting(console) as wait:
                wait(words["starting_services"])
                endpoints = stack.enter_context(services.running(home))
                if _left(home):
                    story.live_through(world.LEFT_DATES[-1], world.World(), endpoints)
                wait(words["starting_airflow"])
                url, processes = stack.enter_context(_airflow(endpoints))
            stack.callback(console.print, words["stopping"])
            places = _places(endpoints, url)
            if json:
                print(json_text.dumps(places, indent=2), flush=True)
            else:
                _invite(endpoints, places, words, console)
            while all(process.poll() is None for process in processes.values()):
                time.sleep(0.5)
            ended = [name for name, process in processes.items() if process.poll() is not None]
            console.print(f"Airflow's {', '.join(ended)} ended; see [{home / 'log'}]", style="bold red", markup=False)
            return 1
    except KeyboardInterrupt:
        console.print(words["stopped"])
        return 0
    except (airflow_home.CannotStart, embedded.CannotStart, services.CannotStart) as error:
        console.print(str(error), style="bold red", markup=False)
        return 1


def _home(named: Path | None) -> Path:
    return (named or services.default_home()).expanduser().resolve()


@contextmanager
def _waiting(console: Console) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is waited for, and for how long; elsewhere say it, a line each."""
    if not console.is_terminal:
        yield lambda text: console.print(text, markup=False)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        now = progress.add_task("…", total=None)

        yield lambda text: progress.update(now, description=text)


def _console(*, stderr: bool = False) -> Console:
    """Return the console, wide enough for the table of days also where nobody says how wide the paper is."""
    console = Console(stderr=stderr, highlight=False)
    console.width = max(console.width, NARROWEST)
    return console


def _settle(home: Path, words: Row, console: Console, *, lang: Language) -> DemoResult:
    watch = _Stopwatch()
    with _waiting(console) as wait, services.running(home) as endpoints:

        def done(part: str, text: str | None = None) -> None:
            watch.lap(part)
            console.print(f"[green]✓[/] {text or words[part]} [dim]{watch.seconds[part]:.1f} s[/]")

        done("services")
        airflow_home.policy(home, language=lang)
        migrate(endpoints.postgres.settlement_db_url)
        airflow_home.migrate(endpoints)
        done("databases")
        before = seen = _facts(endpoints)
        breaks: list[Row] = []
        failure = None
        for event in _told(endpoints):
            day = event.get("day", "")
            if "error" in event:
                failure = event["error"]
            elif event.get("part") == "airflow":
                done("airflow")
            elif event["state"] == "running":
                wait(words["running"].format(day=day))
            elif event["state"] == "approved":
                console.print(f"[green]✓[/] {words['approved'].format(day=day)}")
            elif event["state"] == "failed":
                watch.lap(day)
                log = endpoints.home / "log" / "story.log"
                failure = words["failed"].format(day=day, tasks=", ".join(event["failed"]), log=log)
            else:
                now_seen = _facts(endpoints)
                if day == story.AFTERWARDS:
                    done(day)
                else:
                    done(day, words["again" if before.same_day(now_seen, day) else "done"].format(day=day))
                news = list(seen.news_of_breaks(now_seen, day))
                for row in news:
                    text = words[row["what"]].format(**row | {"amount": f"{row['amount'] or 0:,}"})
                    console.print(f"    {text}", style="dim", markup=False, soft_wrap=True)
                breaks, seen = [*breaks, *news], now_seen
        if failure:
            console.print(f"✗ {failure}", style="bold red", markup=False)
        else:
            (home / SETTLED).touch()
        return _outcome(endpoints, before, watch, breaks, failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the settlement database holds at one moment."""

    days: dict[str, Row]
    breaks: dict[int, Row]
    fingerprint: tuple[Any, ...]

    def same_day(self, later: _Facts, day: str) -> bool:
        known = ("revision", *(f"{name}_amount" for name in AMOUNTS))
        return day in self.days and [self.days[day][key] for key in known] == [later.days[day][key] for key in known]

    def news_of_breaks(self, later: _Facts, day: str) -> Iterator[Row]:
        """Yield what became of breaks between the two moments: opened, older by business days, resolved."""
        for break_id, found in later.breaks.items():
            former = self.breaks.get(break_id)
            if found["resolved_on"]:
                what, on = "resolved", found["resolved_on"]
            elif former:
                what, on = "older", date.fromisoformat(day) if day in later.days else found["opened_on"]
            else:
                what, on = "opened", found["opened_on"]
            if found != former:
                yield {"day": day, "what": what, "days": (on - found["opened_on"]).days, **found}


def _facts(endpoints: services.Endpoints) -> _Facts:
    with _reading(endpoints) as connection:
        rows: list[Row] = connection.execute(DAYS).fetchall()
        breaks: list[Row] = connection.execute(BREAKS).fetchall()
        counted = connection.execute(FINGERPRINT).fetchone() or {}
    return _Facts(
        days={str(row["settlement_date"]): row for row in rows},
        breaks={row["break_id"]: row for row in breaks},
        fingerprint=tuple(counted.values()),
    )


def _reading(endpoints: services.Endpoints) -> psycopg.Connection[Row]:
    url = endpoints.postgres.settlement_db_url.replace("+psycopg", "")
    return psycopg.connect(url, row_factory=dict_row)


def _told(endpoints: services.Endpoints) -> Iterator[Row]:
    """Have the story told and yield what it says; a teller who ends without a word is an error too."""
    command = [sys.executable, "-m", "settlement_lab.demo.story", str(endpoints.home)]
    environment = airflow_home.environment(endpoints)
    # Airflow's in-process runner does not heed SIGTERM. Nothing needs its good-bye: a task that is cut off runs again.
    teller = tether.start(command, env=environment, output=subprocess.PIPE, stop_signal=signal.SIGKILL)
    failed = False
    try:
        assert teller.stdout is not None
        for line in teller.stdout:
            event = json_text.loads(line)
            failed = failed or "error" in event or event.get("state") == "failed"
            yield event
    finally:
        status = tether.stop(teller)
    if status and not failed:
        yield {"error": f"the story ended with status [{status}]; see [{endpoints.home / 'log' / 'story.log'}]"}


def _outcome(
    endpoints: services.Endpoints, before: _Facts, watch: _Stopwatch, breaks: list[Row], failure: str | None
) -> DemoResult:
    after = _facts(endpoints)
    with _reading(endpoints) as connection:
        booked = connection.execute("select end_to_end_id, amount from reporting.payouts where state = 'booked'")
        ledger_booked = {row["end_to_end_id"]: row["amount"] for row in booked}
        newest = connection.execute(
            "select investor_id from reporting.payouts where settlement_date = (select max(settlement_date)"
            " from reporting.payouts) order by amount desc, investor_id limit 1"
        ).fetchone()
    statements = endpoints.bank.statements()
    watch.lap("report")
    return DemoResult(
        days=list(after.days.values()),
        conversations=endpoints.conversations(),
        already_settled=[day for day in after.days if before.same_day(after, day)],
        changed=after.fingerprint != before.fingerprint,
        seconds=watch.seconds,
        bank_booked={row["end_to_end_id"]: row["amount"] for row in endpoints.bank.payments() if row["booked_at"]},
        ledger_booked=ledger_booked,
        closing_balance=statements[-1]["closing"] if statements else bank.OPENING_BALANCE,
        investor=newest["investor_id"] if newest else "",
        breaks=breaks,
        failure=failure,
    )


def _as_json(outcome: DemoResult) -> str:
    days = [{**row, "settlement_date": str(row["settlement_date"])} for row in outcome.days]
    value = {
        "days": days,
        "breaks": [
            {key: str(value) if isinstance(value, date) else value for key, value in row.items()}
            for row in outcome.breaks
        ],
        "totals": {f"{name}_amount": sum(row[f"{name}_amount"] for row in days) for name in AMOUNTS},
        "already_settled": outcome.already_settled,
        "changed": outcome.changed,
        "bank_agrees": outcome.agrees,
        "closing_balance": outcome.closing_balance,
        "slack": outcome.conversations,
        "seconds": outcome.seconds,
        "failure": outcome.failure,
    }
    return json_text.dumps(value, ensure_ascii=False, indent=2)


def _show(outcome: DemoResult, words: Row, console: Console, *, home: Path) -> None:
    console.print()
    console.print(_table(outcome.days, words))
    if outcome.agrees:
        total = sum(outcome.ledger_booked.values())
        said = words["bank"].format(
            count=len(outcome.ledger_booked), amount=f"{total:,}", closing=f"{outcome.closing_balance:,}"
        )
        console.print(f"[green]✓[/] {said}")
    else:
        theirs, ours = sum(outcome.bank_booked.values()), sum(outcome.ledger_booked.values())
        console.print(f"✗ {words['bank_differs'].format(theirs=f'{theirs:,}', ours=f'{ours:,}')}", style="bold red")
    if not outcome.changed and not outcome.failure:
        console.print(f"[green]✓[/] {words['nothing']}")
    for channel, conversation in outcome.conversations.items():
        console.rule(f"{words['slack']}: #{channel}", align="left")
        console.print(view.render_text(conversation), markup=False, emoji=False, soft_wrap=True)
    console.rule(words["time"], align="left")
    parts = "  ".join(f"{part} {seconds:.1f}" for part, seconds in outcome.seconds.items())
    console.print(f"{sum(outcome.seconds.values()):.1f} s: {parts}", markup=False)
    console.rule(words["next"], align="left")
    day = outcome.days[-1]["settlement_date"] if outcome.days else world.SETTLEMENT_DATES[-1]
    demo = airflow_home.typed("demo", home)
    for command, meaning in (
        (airflow_home.typed("up", home), words["next_up"]),
        (f"{demo} status {day}", words["next_status"]),
        (f"{demo} why {outcome.investor} {day}", words["next_why"]),
    ):
        console.print(f"  [bold]{command}[/]  [dim]{meaning}[/]", soft_wrap=True)


def _table(days: list[Row], words: Row) -> Table:
    """Return the days as a table whose rows add up: received is what stands between it and what was paid out."""
    table = Table(title=words["title"], title_justify="left", show_footer=True, box=SIMPLE_HEAD, padding=0)
    totals = [f"{sum(row[f'{name}_amount'] or 0 for row in days):,}" for name in AMOUNTS]
    footers = [words["total"], *totals, str(sum(row["break_count"] for row in days))]
    for number, (title, footer) in enumerate(zip(words["columns"].split(","), footers, strict=True)):
        table.add_column(title, footer, justify="right" if number else "left", no_wrap=True)
    for row in days:
        amounts = [f"{row[f'{name}_amount'] or 0:,}" for name in AMOUNTS]
        table.add_row(str(row["settlement_date"]), *amounts, str(row["break_count"]))
    return table


def _environment(endpoints: services.Endpoints) -> dict[str, str]:
    """Return what a command outside Airflow needs to see the demo's world, at the hour that it is there.

    In the morning after the last date it is early: that date is past its cut-off, and its scheduled run not yet due.
    """
    today = endpoints.bank.now().date()
    hour = story.WAKE_UP if today <= world.LEFT_DATES[-1] else EARLY
    now = datetime.combine(today, hour, world.SEOUL).isoformat()
    policy = str(airflow_home.policy(endpoints.home))
    return endpoints.environment() | {"SETTLEMENT_POLICY": policy, "SETTLEMENT_NOW": now}


@contextmanager
def _airflow(endpoints: services.Endpoints) -> Iterator[tuple[str, dict[str, subprocess.Popen[bytes]]]]:
    """Run the four parts of Airflow, and stop them in order afterwards."""
    airflow_home.migrate(endpoints)
    port = ports.again(endpoints.home, "airflow") or airflow_home.free_port()
    ports.remember(endpoints.home, "airflow", port)
    users, passwords = airflow_home.users_environment(endpoints.home, port)
    environment = airflow_home.environment(endpoints) | _environment(endpoints) | users
    _leave_environment(endpoints, environment)
    log = endpoints.home / "log"
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:
        for part in airflow_home.COMPONENTS:
            output = stack.enter_context((log / f"airflow-{part}.log").open("wb"))
            processes[part] = tether.start([*airflow_home.AIRFLOW, part], env=environment, output=output)
        stack.callback(_stop_all, processes)
        url = users["AIRFLOW__API__BASE_URL"]
        airflow_home.wait_until_healthy(url, processes, log)
        airflow_home.unpause(url, passwords["maker"])
        stack.callback(airflow_home.let_tasks_end, url, passwords["maker"])
        yield url, processes


def _stop_all(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    for process in processes.values():
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
    for process in processes.values():
        process.wait()


def _leave_environment(endpoints: services.Endpoints, environment: dict[str, str]) -> None:
    """Leave a file that a person's shell can read to use `airflow` and `settlement` on this data, readable by them."""
    ours = {
        key: value for key, value in environment.items() if key.startswith(("AIRFLOW", "SETTLEMENT_", "PYTHONPATH"))
    }
    with os.fdopen(
        os.open(_environment_file(endpoints), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.writelines(f"export {key}={shlex.quote(value)}\n" for key, value in sorted(ours.items()))
        file.write("export SETTLEMENT_COMMAND=settlement\n")
        file.write(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n")


def _environment_file(endpoints: services.Endpoints) -> Path:
    return endpoints.home / "environment.sh"


def _places(endpoints: services.Endpoints, url: str) -> dict[str, str]:
    """Return where everything is."""
    return {
        "airflow": url,
        "slack": f"{endpoints.slack_url}/",
        "bank": f"{endpoints.bank.url}/",
        "log": str(endpoints.home / "log"),
        "passwords": str(endpoints.home / "airflow" / "passwords.json"),
        "environment": str(_environment_file(endpoints)),
    }


def _left(home: Path) -> tuple[date, ...]:
    """Return the dates that are left for a person; none in a home whose policy is older than they are."""
    last = policies.load(airflow_home.policy(home)).last_settlement_date
    return world.LEFT_DATES if last is None or last >= world.LEFT_DATES[-1] else ()


def _invite(endpoints: services.Endpoints, places: dict[str, str], words: Row, console: Console) -> None:
    table = Table(show_header=False, box=None)
    for name in ("airflow", "slack", "bank", "log"):
        table.add_row(f"[bold]{words['place_' + name]}[/]", places[name])
    shown = endpoints.home / "airflow" / "passwords-shown"
    if not shown.exists():
        for user, password in json_text.loads(Path(places["passwords"]).read_text()).items():
            table.add_row(f"[bold]{user}[/]", password)
        shown.touch(mode=0o600)
    else:
        table.add_row(f"[bold]{words['place_passwords']}[/]", places["passwords"])
    console.print(table)
    first, last = world.SETTLEMENT_DATES[0], world.SETTLEMENT_DATES[-1]
    if left := _left(endpoints.home):
        console.print(words["left"], style="bold")
        for number, (key, day) in enumerate(zip(("left_approval", "left_run"), left, strict=True), start=1):
            console.print(f"  {number}. {words[key].format(day=day)}", soft_wrap=True)
    console.print(
        f"[dim]{words['in_another_shell']}\n"
        f". {shlex.quote(places['environment'])}\n"
        f"settlement status {last}\n"
        f"airflow backfill create --dag-id daily_settlement --from-date {first} --to-date {last} --max-active-runs 1"
        f" --reprocess-behavior completed\n{words['end']}[/]",
        soft_wrap=True,
    )
