"""What an experienced colleague would look at before the first real day, and whenever something feels wrong.

`CHECKS` is the list, in the order in which one would look. A check yields what is amiss, and last what it found where
nothing is. One whose ground another check found missing is not run, and says so; one that breaks off is a failure of
that check and never the end of the list. Nothing is written, sent or taken, and no finding holds a secret or a
person's data: what stands in it are names of tables, columns, folders, users, counts, and how a text is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Protocol
from zoneinfo import ZoneInfo

from settlement.domain.alerts import redaction
from settlement.domain.bank.matching import spelling
from settlement.domain.computation import opening as opening_positions
from settlement.domain.currencies import EXPONENTS
from settlement.domain.days import BankCalendar
from settlement.domain.errors import Refused, Unavailable
from settlement.domain.policy import Policy
from settlement.ports.doctor import Airflow, BankExam, Looked, Patient, Server, TookTooLong
from settlement.ports.outbox import ConnectionTest
from settlement.stages import opening

SHIPPED_CHANNEL = "C0SETTLE"
"""What the policies that are shipped call their channel."""

CLOCKS_APART_SECONDS = 5.0
FUTURE = timedelta(hours=1)
LOOK_AHEAD = timedelta(days=366)
LOOK_BACK = timedelta(days=90)
FREE_BYTES = 2 << 30
"""So little room that the inputs of a large day might not be kept."""
FEWEST_LINES = 10
FEWEST_MET = 0.8
REFERENCE = "core.repayments.bank_reference"
DAGS = ("daily_settlement", "bank_reconciliation", "alert_delivery")
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
UTC_NAMES = ("UTC", "GMT", "Zulu", "Universal")


class Level(StrEnum):
    """How bad a finding is. Only a failure is a reason not to begin."""

    OK = "ok"
    NOT_CHECKED = "not_checked"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found: `code` names its sentence and what to do, `values` stand in them."""

    level: Level
    code: str
    values: Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a check came to: what is amiss, or what it found where nothing is."""

    check: str
    level: Level
    findings: Sequence[Finding]


class Examination:
    """The patient while it is examined: what several checks look at is asked for once."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.refusals: dict[str, str] = {}
        """What was refused, and which check said so first."""

    @cached_property
    def policy(self) -> Policy:
        return self.patient.policy()

    @cached_property
    def source_server(self) -> Server:
        return self.patient.source_server()

    @cached_property
    def books_server(self) -> Server:
        return self.patient.books_server()

    @cached_property
    def bank(self) -> BankExam | None:
        return self.patient.bank()

    @cached_property
    def slack(self) -> ConnectionTest | None:
        return self.patient.slack(self.policy)

    @cached_property
    def airflow(self) -> Airflow:
        return self.patient.airflow()

    @property
    def is_rehearsal(self) -> bool:
        """Whether the clock stands still and the dates have an end: nobody expects a run that nobody triggers."""
        return self.patient.is_now_set and self.policy.last_settlement_date is not None


class Check(Protocol):
    """Looks at one thing: yields what is amiss, and last what it found."""

    __name__: str

    def __call__(self, seen: Examination) -> Iterator[Finding]: ...


# ------------------------------------------------------------------------------------------------- policy and clock


def policy_is_valid(seen: Examination) -> Iterator[Finding]:
    """The policy can be read and validates."""
    yield _ok("policy", name=seen.policy.name, version=seen.policy.version or "-", sha256=seen.policy.sha256[:12])


def payouts_have_a_limit(seen: Examination) -> Iterator[Finding]:
    """Above a limit a second person is asked; the policies that are shipped have none."""
    limits = seen.policy.approval.limit
    if unlimited := sorted(set(seen.policy.payouts) - set(limits)):
        yield _warning("no_approval_limit", currencies=_listed(unlimited))
    yield _ok("limits", limits=_listed(f"{amount:,} {currency}" for currency, amount in limits.items()))


def clock_runs(seen: Examination) -> Iterator[Finding]:
    """Nothing stands for the clock, or it does so on purpose."""
    now = seen.patient.now().astimezone(ZoneInfo(seen.policy.timezone)).isoformat(timespec="minutes")
    if seen.patient.is_now_set and not seen.is_rehearsal:
        yield _failure("clock_is_set", now=now)
    yield _ok("clock_stands_on_purpose" if seen.patient.is_now_set else "clock", now=now)


def zone_is_the_country_of_the_calendar(seen: Examination) -> Iterator[Finding]:
    """Dates are cut where the country of the bank's calendar is."""
    zone, country = seen.policy.timezone, seen.policy.calendar.country
    territory = seen.patient.territory_of(zone)
    is_utc = zone.rpartition("/")[2] in UTC_NAMES or zone.startswith("Etc/")
    if len(country) == 2 and (is_utc or (territory and territory != country)):
        yield _warning("zone_elsewhere", zone=zone, country=country)
    yield _ok("zone", zone=zone, country=country, cut_off=seen.policy.cut_off)


def calendar_knows_what_comes(seen: Examination) -> Iterator[Finding]:
    """There are settlement dates to come, and the calendar knows the holidays of the next twelve months."""
    calendar = seen.patient.calendar(seen.policy)
    now = seen.patient.now()
    today = calendar.local_date(now)
    if calendar.last and calendar.run_after(calendar.last) <= now:
        yield _warning("no_date_left", last=str(calendar.last))
    ahead = [today + timedelta(days=days) for days in range(1, LOOK_AHEAD.days)]
    holidays = [day for day in ahead if calendar.calendar.holiday(day, language="en") is not None]
    if not holidays or holidays[-1] < today + LOOK_AHEAD / 2:
        yield _failure("no_holidays_known", country=calendar.calendar.country, after=str(max([today, *holidays])))
    bare = BankCalendar(seen.policy.calendar.country, seen.policy.calendar.categories)
    for override in seen.policy.calendar.overrides:
        if override.date >= today and bare.is_business_day(override.date) == override.business:
            yield _warning("override_changes_nothing", date=str(override.date))
    yield _ok("calendar", country=bare.country, holidays=len(holidays), next=str(min(holidays, default="-")))


# ------------------------------------------------------------------------------------------------------- the source


def source_answers(seen: Examination) -> Iterator[Finding]:
    """The source's database is reached, and lets the login in."""
    yield from _server(seen.source_server)


def source_login_only_reads(seen: Examination) -> Iterator[Finding]:
    """The source's login cannot write, and owns nothing."""
    server, rights = seen.source_server, seen.patient.source().rights()
    if server.is_superuser:
        yield _failure("source_superuser", login=server.login)
    for found in rights:
        if found.is_owned and not server.is_superuser:
            yield _failure("source_owned", login=server.login, relation=f"core.{found.relation}")
        elif found.writes and not server.is_superuser:
            writes = _listed(found.writes)
            yield _failure("source_writes", login=server.login, relation=f"core.{found.relation}", rights=writes)
    yield _ok("source_only_reads", login=server.login, relations=len(rights))


def source_has_its_relations(seen: Examination) -> Iterator[Finding]:
    """The six relations are there with their columns, and can be read."""
    source = seen.patient.source()
    rights = source.rights()
    for found in rights:
        if not found.may_read:
            yield _failure("source_unreadable", login=seen.source_server.login, relation=f"core.{found.relation}")
    for breach in source.breaches():
        if breach.of == "relation":
            yield _failure("no_relation", place=breach.place)
        elif breach.of == "column" and breach.is_read_later:
            yield _warning("no_column_to_pay", place=breach.place)
        elif breach.of == "column":
            yield _failure("no_column", place=breach.place)
    yield _ok("relations", relations=_listed(f"core.{found.relation}" for found in rights))


def source_types_are_exact(seen: Examination) -> Iterator[Finding]:
    """Every column has the type that the contract says: ids are text, money is whole, an instant has its zone."""
    for breach in seen.patient.source().breaches():
        if breach.of == "type":
            code = "naive_timestamp" if breach.type.startswith("timestamp without") else "wrong_type"
            yield _failure(code, place=breach.place, type=breach.type, wanted=breach.wanted)
    yield _ok("types")


def source_has_no_missing_values(seen: Examination) -> Iterator[Finding]:
    """No column lacks a value that it must have."""
    yield from _looked(seen.patient.source().nulls(), "null")


def source_has_no_duplicates(seen: Examination) -> Iterator[Finding]:
    """What names one row names one row."""
    yield from _looked(seen.patient.source().duplicates(), "duplicate")


def source_has_no_orphans(seen: Examination) -> Iterator[Finding]:
    """What a row names is there."""
    yield from _looked(seen.patient.source().orphans(), "orphan")


def source_values_are_known(seen: Examination) -> Iterator[Finding]:
    """Components, states and amounts are those of the contract."""
    for found in seen.patient.source().values():
        yield _failure("value", place=found.place, rows=found.rows, said=_listed(found.said))
    yield _ok("values")


def source_times_are_right(seen: Examination) -> Iterator[Finding]:
    """No receipt comes from the future, as one does whose local time was taken for UTC."""
    newest = seen.patient.source().newest_receipt_at()
    now = seen.patient.now()
    if newest is not None and newest > now + FUTURE:
        yield _failure("receipt_of_the_future", newest=f"{newest:%Y-%m-%d %H:%M} UTC", now=f"{now:%Y-%m-%d %H:%M} UTC")
    yield _ok("receipts", newest=f"{newest:%Y-%m-%d %H:%M} UTC" if newest else "-")


def every_note_has_its_holder(seen: Examination) -> Iterator[Finding]:
    """Every note has exactly one holder from disbursement on."""
    found = seen.patient.source().holders(_since(seen))
    for code, notes in (
        ("note_without_holder", found.without),
        ("held_late", found.begins_late),
        ("held_by_nobody", found.gap),
        ("held_twice", found.overlap),
    ):
        if notes:
            yield _failure(code, notes=notes, of=found.notes)
    if found.ended:
        yield _warning("holding_ended", notes=found.ended, of=found.notes)
    yield _ok("holders", notes=found.notes)


# ------------------------------------------------------------------------------------- the policy against the source


def currencies_are_in_the_policy(seen: Examination) -> Iterator[Finding]:
    """Every currency of a loan is one that there is, and that the policy pays out in and taxes."""
    found = seen.patient.source().currencies()
    for currency, loans in found.items():
        if currency not in EXPONENTS:
            yield _failure("unknown_currency", currency=currency, loans=loans)
        elif missing := [name for name in ("payouts", "withholding") if currency not in getattr(seen.policy, name)]:
            tables = _listed(f"[{name}.{currency}]" for name in missing)
            yield _failure("currency_not_in_policy", currency=currency, loans=loans, tables=tables)
    yield _ok("currencies", currencies=_listed(found))


def every_holder_has_one_tax_rule(seen: Examination) -> Iterator[Finding]:
    """Exactly one rule of withholding covers every holder of a loan that is under way."""
    on = seen.patient.calendar(seen.policy).local_date(seen.patient.now())
    cases = seen.patient.source().tax_cases(_since(seen))
    wrong: dict[tuple[str, str, int], list[int]] = {}
    for case in cases:
        rules = seen.policy.tax_rules(
            currency=case.currency, tax_class=case.tax_class, disbursed_on=case.disbursed_on, settlement_date=on
        )
        if len(rules) != 1:
            wrong.setdefault((case.currency, case.tax_class, len(rules)), []).append(case.holdings)
    for (currency, tax_class, rules_found), holdings in wrong.items():
        code = "no_tax_rule" if rules_found == 0 else "several_tax_rules"
        yield _failure(
            code, currency=currency, tax_class=tax_class, holdings=sum(holdings), rules=rules_found, on=str(on)
        )
    yield _ok("tax_rules", classes=_listed(sorted({case.tax_class for case in cases})), on=str(on))


def opening_positions_can_be_taken(seen: Examination) -> Iterator[Finding]:
    """What another system leaves behind can be taken over, where the next run would do so."""
    if not seen.patient.source().has_opening():
        yield _ok("opening", rows=0)
        return
    with seen.patient.ledger(seen.policy).books(read_only=True) as books:
        is_awaited = opening.is_awaited(books)
    if not is_awaited:
        yield _ok("opening_over")
        return
    calendar = seen.patient.calendar(seen.policy)
    first = calendar.first or calendar.newest_settleable(seen.patient.now())
    opens_at = calendar.window(first).from_at if first else seen.patient.now()
    with seen.patient.core().snapshot() as snapshot:
        positions = snapshot.opening(opens_at)
    if len(positions) and calendar.first is None:
        yield _failure("opening_without_first_date", rows=len(positions))
    wrong = opening_positions.contradictions(positions, opens_at=opens_at, currencies={*seen.policy.currencies})
    if wrong:
        yield _failure("opening_contradicts", sentences=len(wrong), rows=len(positions))
    yield _ok("opening", rows=len(positions))


# -------------------------------------------------------------------------------------------------------- the books


def books_answer(seen: Examination) -> Iterator[Finding]:
    """The settlement database is reached, and lets the login in."""
    yield from _server(seen.books_server)


def books_schema_is_current(seen: Examination) -> Iterator[Finding]:
    """The settlement database was migrated to what this version needs."""
    found = seen.patient.books().schema()
    if found.found is None:
        yield _failure("never_migrated", needed=found.needed)
    elif found.found != found.needed:
        yield _failure("other_schema", found=found.found, needed=found.needed)
    yield _ok("schema", needed=found.needed)


def books_login_owns_nothing(seen: Examination) -> Iterator[Finding]:
    """Our login adds to the books and owns nothing there: what was posted cannot be changed by it."""
    server, login = seen.books_server, seen.patient.books().login()
    if server.is_superuser:
        yield _failure("books_superuser", login=server.login)
    elif login.owns and not server.is_over_a_socket:
        yield _failure("books_owned", login=server.login, count=len(login.owns), first=login.owns[0])
    if not login.may_act:
        yield _failure("books_login_may_not_act", login=server.login)
    yield _ok("books_owner_over_a_socket" if login.owns else "books_login", login=server.login)


def database_clocks_agree(seen: Examination) -> Iterator[Finding]:
    """The clocks of the databases and ours say the same."""
    apart = {}
    for conn_id, name in (("lending_core", "source_server"), ("settlement_db", "books_server")):
        try:
            server: Server = getattr(seen, name)
        except (Refused, Unavailable):
            continue  # which its own check says
        apart[conn_id] = server.seconds_ahead
        if abs(server.seconds_ahead) > CLOCKS_APART_SECONDS:
            yield _warning("clock_apart", where=server.where, seconds=f"{server.seconds_ahead:+.1f}")
    if not apart:
        yield _not_checked("no_database")
    yield _ok("clocks", most=f"{max(map(abs, apart.values()), default=0):.1f}")


# --------------------------------------------------------------------------------------------------------- the bank


def bank_is_reached(seen: Examination) -> Iterator[Finding]:
    """The bank's paths or folders are reached, and let us in; nothing is sent and nothing is taken."""
    if seen.bank is None:
        yield _warning("no_bank")
        return
    doors = seen.bank.doors()
    for door in doors:
        if door.amiss:
            yield _failure(f"bank_{door.amiss}", where=door.where, detail=door.detail)
    yield _ok("bank", doors=_listed(door.where for door in doors))


def bank_account_is_ours(seen: Examination) -> Iterator[Finding]:
    """The account has right check digits, where it has any, and is in a currency that the policy pays out in."""
    if seen.bank is None:
        yield _not_checked("no_bank")
        return
    debtor = seen.bank.debtor
    if debtor.currency not in seen.policy.payouts:
        yield _failure("account_in_other_currency", currency=debtor.currency, policy=_listed(seen.policy.payouts))
    account = debtor.account.replace(" ", "").upper()
    if account[:2].isalpha() and account[2:4].isdecimal() and not _is_iban(account):
        yield _failure("account_is_no_iban", account=f"{account[:4]}…{account[-4:]}")
    yield _ok("account", account=f"…{account[-4:]}", currency=debtor.currency)


def references_meet(seen: Examination) -> Iterator[Finding]:
    """What payers write on the newest statements is what the source calls its receipts."""
    source = seen.patient.source()
    if REFERENCE in (breach.place for breach in source.breaches()):
        yield _not_checked("no_column_to_pay", place=REFERENCE)
        return
    receipts = source.receipts()
    if receipts.seen and not receipts.with_reference:
        yield _warning("no_references", receipts=receipts.seen)
    lines = seen.patient.books().newest_credits()
    spellings = [spelling.Spelling(ours=r.ours, written=r.written) for r in seen.policy.matching.references]
    said = {
        number: {text for text in (line.reference, line.remittance, line.end_to_end_id) if text}
        | set(spelling.read(spellings, (line.reference, line.remittance, line.end_to_end_id)))
        for number, line in enumerate(lines)
    }
    known = source.known(sorted(set().union(*said.values())))
    met = [number for number, texts in said.items() if texts & known or lines[number].is_receipt]
    if len(lines) >= FEWEST_LINES and len(met) < FEWEST_MET * len(lines):
        strange = [lines[number].reference or lines[number].remittance or "" for number in said if number not in met]
        shapes = dict.fromkeys(spelling.shape(text) for text in strange if text)
        yield _warning(
            "references_differ",
            met=len(met),
            lines=len(lines),
            theirs=_listed(list(shapes)[:3]),
            ours=_listed(receipts.shapes),
        )
    yield _ok("references", met=len(met), lines=len(lines))


# ------------------------------------------------------------------------------------------------------------ slack


def slack_is_reached(seen: Examination) -> Iterator[Finding]:
    """Slack knows the token, and it has every scope."""
    if seen.slack is None:
        yield _warning("no_slack")
        return
    if seen.slack.error:
        yield _failure("slack_error", error=seen.slack.error)
    if seen.slack.missing_scopes:
        yield _failure("missing_scopes", scopes=_listed(seen.slack.missing_scopes))
    yield _ok("slack", team=seen.slack.team or "-", user=seen.slack.user or "-")


def slack_knows_the_channels(seen: Examination) -> Iterator[Finding]:
    """Every channel of the policy is one that the app is in, and every severity is told somewhere."""
    channels = seen.policy.alerts.channels
    if seen.slack is None:
        if SHIPPED_CHANNEL in (channel.id for channel in channels):
            yield _warning("shipped_channel", channel=SHIPPED_CHANNEL)
        yield _not_checked("no_slack")
        return
    for channel, said in seen.slack.channels.items():
        if said != "ok":
            code = "shipped_channel_unknown" if channel == SHIPPED_CHANNEL else "channel"
            yield _failure(code, channel=channel, error=said)
    untold = {"warning", "critical"} - {severity for channel in channels for severity in channel.severities}
    if untold:
        yield _warning("severity_told_nowhere", severities=_listed(sorted(untold)))
    yield _ok("channels", channels=_listed(channel.id for channel in channels))


def alerts_by_mail_can_be_sent(seen: Examination) -> Iterator[Finding]:
    """Where the policy names addresses, there is a connection to send to them by."""
    addresses = seen.policy.alerts.email_to
    if addresses and not seen.patient.has_mail():
        yield _warning("no_mail_connection")
    yield _ok("mail" if addresses else "no_mail", addresses=len(addresses))


# -------------------------------------------------------------------------------------------------------- snapshots


def snapshots_can_be_kept(seen: Examination) -> Iterator[Finding]:
    """The folder of the frozen inputs can be written, is readable by its owner only, and has room."""
    folder = seen.patient.snapshots()
    if not folder.may_write:
        yield _failure("snapshots_not_writable", folder=str(folder.path))
    if folder.mode is not None and folder.mode & 0o077:
        yield _warning("snapshots_open", folder=str(folder.path), mode=f"{folder.mode:04o}")
    if folder.free_bytes < FREE_BYTES:
        yield _warning("snapshots_full", folder=str(folder.path), megabytes=folder.free_bytes >> 20)
    yield _ok("snapshots", folder=str(folder.path), gigabytes=folder.free_bytes >> 30)


# ---------------------------------------------------------------------------------------------------------- airflow


def airflow_loads(seen: Examination) -> Iterator[Finding]:
    """Airflow loads in a process of its own, and finds the product."""
    if seen.airflow.product_at is None:
        yield _failure("product_not_on_path")
    yield _ok("airflow", version=seen.airflow.version, product=seen.airflow.product_at or "-")


def airflow_has_the_plugins(seen: Examination) -> Iterator[Finding]:
    """The plugins load, and with them the timetable."""
    for file, error in seen.airflow.plugin_errors.items():
        yield _failure("plugin_error", file=file, error=_plain(error))
    if not seen.airflow.has_timetable:
        yield _failure("no_timetable")
    yield _ok("plugins")


def airflow_reads_the_dags(seen: Examination) -> Iterator[Finding]:
    """The three DAGs are there, and every other file of their folder parses."""
    missing = sorted(set(DAGS) - set(seen.airflow.dags))
    for file, error in seen.airflow.dag_errors.items():
        yield (_failure if missing else _warning)("dag_error", file=file, error=_plain(error))
    if missing:
        yield _failure("no_dag", dags=_listed(missing))
    yield _ok("dags", dags=_listed(seen.airflow.dags))


def airflow_runs_the_dags(seen: Examination) -> Iterator[Finding]:
    """A scheduler is alive, and no DAG of ours is paused."""
    if seen.airflow.database_failure:
        yield _failure("airflow_database", error=_plain(seen.airflow.database_failure))
        return
    states = seen.airflow.dag_states
    if states is None:
        yield from _told_by_airflow(seen)
        return
    if seen.is_rehearsal and not seen.airflow.is_scheduler_alive:
        yield _ok("nobody_waits_for_a_scheduler")
        return
    if not seen.airflow.is_scheduler_alive:
        yield _failure("no_scheduler")
    if paused := [dag for dag in DAGS if states.get(dag) == "paused"]:
        yield _warning("dags_paused", dags=_listed(paused))
    if unknown := [dag for dag in DAGS if dag not in states]:
        yield _warning("dags_unknown", dags=_listed(unknown))
    yield _ok("dags_run", dags=_listed(DAGS))


def approvers_can_log_in(seen: Examination) -> Iterator[Finding]:
    """Whom the policy names as approvers are users of Airflow, by the names that they log in with."""
    approvers, users = seen.policy.approval.approvers, seen.airflow.users
    if seen.airflow.is_everybody_admin:
        yield _failure("everybody_is_admin")
    if seen.airflow.auth_manager == FAB:
        yield _failure("users_are_numbers")
    if users is None:
        yield _not_checked("users_not_seen", approvers=_listed(approvers))
        return
    if missing := sorted(set(approvers) - set(users)):
        level = _failure if seen.policy.approval.limit else _warning
        yield level("no_such_approver", approvers=_listed(missing), users=_listed(sorted(users)))
    yield _ok("approvers", approvers=_listed(approvers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A check of the list, and those that have to be well before it can be made."""

    check: Check
    after: tuple[Check, ...] = ()


WELL_MAPPED = (source_types_are_exact, source_has_no_missing_values)

CHECKS: tuple[Step, ...] = (
    Step(check=policy_is_valid),
    Step(check=payouts_have_a_limit, after=(policy_is_valid,)),
    Step(check=clock_runs, after=(policy_is_valid,)),
    Step(check=zone_is_the_country_of_the_calendar, after=(policy_is_valid,)),
    Step(check=calendar_knows_what_comes, after=(policy_is_valid, clock_runs)),
    Step(check=source_answers),
    Step(check=source_login_only_reads, after=(source_answers,)),
    Step(check=source_has_its_relations, after=(source_answers,)),
    Step(check=source_types_are_exact, after=(source_has_its_relations,)),
    Step(check=source_has_no_missing_values, after=(source_has_its_relations,)),
    Step(check=source_has_no_duplicates, after=(source_has_its_relations,)),
    Step(check=source_has_no_orphans, after=(source_has_its_relations,)),
    Step(check=source_values_are_known, after=(source_types_are_exact,)),
    Step(check=source_times_are_right, after=(source_types_are_exact,)),
    Step(check=every_note_has_its_holder, after=(policy_is_valid, *WELL_MAPPED)),
    Step(check=currencies_are_in_the_policy, after=(policy_is_valid, *WELL_MAPPED)),
    Step(check=every_holder_has_one_tax_rule, after=(policy_is_valid, *WELL_MAPPED)),
    Step(check=books_answer),
    Step(check=books_schema_is_current, after=(books_answer,)),
    Step(check=books_login_owns_nothing, after=(books_schema_is_current,)),
    Step(check=database_clocks_agree),
    Step(
        check=opening_positions_can_be_taken, after=(policy_is_valid, source_types_are_exact, books_schema_is_current)
    ),
    Step(check=bank_is_reached),
    Step(check=bank_account_is_ours, after=(policy_is_valid,)),
    Step(check=references_meet, after=(policy_is_valid, source_types_are_exact, books_schema_is_current)),
    Step(check=slack_is_reached, after=(policy_is_valid,)),
    Step(check=slack_knows_the_channels, after=(slack_is_reached,)),
    Step(check=alerts_by_mail_can_be_sent, after=(policy_is_valid,)),
    Step(check=snapshots_can_be_kept),
    Step(check=airflow_loads),
    Step(check=airflow_has_the_plugins, after=(airflow_loads,)),
    Step(check=airflow_reads_the_dags, after=(airflow_has_the_plugins,)),
    Step(check=airflow_runs_the_dags, after=(policy_is_valid, airflow_loads)),
    Step(check=approvers_can_log_in, after=(policy_is_valid, airflow_loads)),
)


def examine(patient: Patient) -> Iterator[Examined]:
    """Yield what each check of the list comes to, one after the other."""
    seen = Examination(patient)
    lacking: dict[str, str] = {}
    """Checks on which others cannot stand, each with the one that is the reason."""
    for step in CHECKS:
        name = step.check.__name__
        reason = next((lacking[before.__name__] for before in step.after if before.__name__ in lacking), None)
        findings = [_not_checked("ground_missing", ground=reason)] if reason else _findings(step.check, seen)
        level = max((finding.level for finding in findings), key=list(Level).index)
        if level in (Level.FAILURE, Level.NOT_CHECKED):
            lacking[name] = reason or name
        yield Examined(check=name, level=level, findings=findings)


def _findings(check: Check, seen: Examination) -> list[Finding]:
    """Return what is amiss, or else what the check found where nothing is."""
    findings: list[Finding] = []
    try:
        findings += check(seen)
    except (Refused, Unavailable) as error:
        sentence = redaction.credentials(str(error))
        first = seen.refusals.setdefault(sentence, check.__name__)
        said = first == check.__name__
        findings.append(
            _failure("refused", sentence=sentence) if said else _not_checked("ground_missing", ground=first)
        )
    except TookTooLong:
        findings.append(_not_checked("too_slow"))
    except Exception as error:
        findings.append(_failure("broke_off", kind=type(error).__name__, said=_plain(str(error))))
    amiss = [finding for finding in findings if finding.level is not Level.OK]
    return amiss or findings[-1:]


def _server(server: Server) -> Iterator[Finding]:
    yield _ok("server", where=server.where, login=server.login, version=server.version)


def _looked(found: Looked, code: str) -> Iterator[Finding]:
    for place in found.faulty:
        yield _failure(code, place=place.place, rows=place.rows)
    yield _ok(f"no_{code}", proven=found.proven, read=found.read - found.sampled, sampled=found.sampled)


def _told_by_airflow(seen: Examination) -> Iterator[Finding]:
    """Say what Airflow says of itself over its API, where its database is not ours to see."""
    reason = seen.patient.airflow_health()
    if reason == "dag_paused":
        yield _warning("dags_paused", dags=DAGS[0])
    elif reason and not seen.is_rehearsal and reason not in ("not_scheduled", "airflow_unreachable"):
        yield _failure("airflow_says", reason=reason)
    elif reason == "airflow_unreachable" or not seen.patient.can_ask_airflow:
        yield _not_checked("airflow_not_seen")
    yield _ok("dags_run", dags=DAGS[0])


def _since(seen: Examination) -> date:
    return seen.patient.calendar(seen.policy).local_date(seen.patient.now()) - LOOK_BACK


def _is_iban(account: str) -> bool:
    """Tell whether an account's check digits are right (ISO 13616: 97 leaves 1, letters counted from 10)."""
    turned = account[4:] + account[:4]
    return turned.isalnum() and int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "-"


def _plain(error: str) -> str:
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return redaction.free_text(lines[0] if lines else "-")


def _ok(code: str, **values: str | int) -> Finding:
    return Finding(level=Level.OK, code=code, values=values)


def _warning(code: str, **values: str | int) -> Finding:
    return Finding(level=Level.WARNING, code=code, values=values)


def _failure(code: str, **values: str | int) -> Finding:
    return Finding(level=Level.FAILURE, code=code, values=values)


def _not_checked(code: str, **values: str | int) -> Finding:
    return Finding(level=Level.NOT_CHECKED, code=code, values=values)
