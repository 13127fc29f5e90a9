"""The doctor: a lender that is wired right, and one mistake at a time, each found by its check and by no other."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from rich.cells import cell_len
from settlement import cli, wiring
from settlement.adapters import airflow_load, server
from settlement.adapters.ledger.migrate import migrate, needed
from settlement.cli import output
from settlement.cli.options import Language
from settlement.ports.doctor import Airflow, Patient
from settlement.stages import doctor, opening
from settlement.stages.doctor import Level
from settlement_lab.demo import airflow_home, world
from settlement_lab.servers import bank as demo_bank
from settlement_lab.servers import embedded
from settlement_lab.slack import sink as slack_sink

NOW = "2026-02-13T06:00+09:00"
WELL = Airflow(
    version="3.3.2",
    product_at="/opt/settlement/include",
    plugin_errors={},
    has_timetable=True,
    dag_errors={},
    dags=doctor.DAGS,
    auth_manager="settlement.adapters.approvers.NamedApprovers",
    is_everybody_admin=False,
    users=["maker", "checker", "viewer"],
    dag_states=dict.fromkeys(doctor.DAGS, "running"),
    is_scheduler_alive=True,
)


@dataclass(frozen=True, kw_only=True)
class Lender:
    """The demo's lender on the evening of its first date, not settled: its databases, its bank, its Slack."""

    postgres: embedded.Server
    core: str
    books: str
    bank: demo_bank.Bank
    slack: slack_sink.Sink
    home: Path

    def connections(self) -> dict[str, dict[str, Any]]:
        host, port = self.bank.url.removeprefix("http://").split(":")
        account = {
            "debtor_account": demo_bank.DEBTOR_ACCOUNT,
            "debtor_name": demo_bank.DEBTOR_NAME,
            "debtor_agent": demo_bank.DEBTOR_AGENT,
            "currency": demo_bank.CURRENCY,
        }
        return {
            "lending_core": {"extra": {"url": self.postgres.url(self.core, user=embedded.READER)}},
            "settlement_db": {"extra": {"url": self.postgres.url(self.books, user="settlement")}},
            "settlement_bank": {"conn_type": "http", "host": host, "port": int(port), "extra": account},
            "settlement_slack": {
                "conn_type": "slack",
                "password": "xoxb-doctor",
                "extra": {"base_url": self.slack.base_url, "timeout": 5},
            },
        }

    @contextmanager
    def planted(self, *mistake: str, undo: tuple[str, ...], books: bool = False) -> Iterator[None]:
        """Do something in the source, or in the books, that is undone afterwards."""
        name = self.books if books else self.core
        url = self.postgres.url(name, user=embedded.SUPERUSER, driver="postgresql")
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in mistake:
                connection.execute(statement.encode())
            try:
                yield
            finally:
                for statement in undo:
                    connection.execute(statement.encode())

    @contextmanager
    def mapped(self, relation: str, select: str) -> Iterator[None]:
        """Let a relation of the source be a view of the one that is there, which `select` reads as `kept`."""
        with self.planted(
            f"alter table core.{relation} rename to kept",
            f"create view core.{relation} as {select.replace(' kept', ' core.kept')}",
            f"grant select on core.{relation} to {embedded.READER}",
            undo=(f"drop view core.{relation}", f"alter table core.kept rename to {relation}"),
        ):
            yield


@pytest.fixture(scope="module")
def lender(
    postgres: embedded.Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lender]:
    core, books = "doctor_core", "doctor_books"
    postgres.create_database(core, owner="lending_core", template="lending_core")
    postgres.create_database(books, owner="settlement", template=migrated_template)
    world.load(postgres.url(core, user="lending_core"), world.World().facts_until(date(2026, 2, 12)))
    home = tmp_path_factory.mktemp("doctor")
    with (
        demo_bank.running(home / "bank", clock="2026-02-12T06:00") as bank,
        slack_sink.running(home / "slack") as slack,
    ):
        yield Lender(postgres=postgres, core=core, books=books, bank=bank, slack=slack, home=home)
    for name in (core, books):
        postgres.drop_database(name)


@dataclass
class Surgery:
    """Where the doctor looks at the lender, with one thing changed."""

    lender: Lender
    monkeypatch: pytest.MonkeyPatch
    connections: dict[str, dict[str, Any]]
    seen: dict[str, doctor.Examined] = field(default_factory=dict)

    def connect(self, conn_id: str, **changes: Any) -> None:
        """Set a connection as it is but for the changes; those of `extra` are changes too."""
        connection = self.connections[conn_id]
        extra = connection["extra"] | changes.pop("extra", {})
        value = connection | changes | {"extra": extra}
        self.monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))

    def policy(self, *changes: tuple[str, str]) -> None:
        """Write the demo's policy with texts in it replaced."""
        text = airflow_home.policy(self.lender.home).read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        path = self.lender.home / "changed.toml"
        path.write_text(text, encoding="utf-8")
        self.monkeypatch.setenv("SETTLEMENT_POLICY", str(path))

    def examined(self, *, airflow: Airflow = WELL, **changed: Any) -> dict[str, doctor.Examined]:
        """Return what every check came to."""
        with wiring.patient() as patient:
            looked_at: Patient = replace(patient, airflow=lambda: airflow, **changed)
            self.seen = {found.check: found for found in doctor.examine(looked_at)}
        return self.seen

    def amiss(self, *, airflow: Airflow = WELL, **changed: Any) -> dict[str, list[str]]:
        """Return the checks that found something, each with the codes of what it found."""
        return {
            check: [finding.code for finding in found.findings]
            for check, found in self.examined(airflow=airflow, **changed).items()
            if found.level in (Level.WARNING, Level.FAILURE)
        }

    def said(self, check: str) -> list[Mapping[str, str | int]]:
        """Return the values of what a check has found."""
        return [finding.values for finding in self.seen[check].findings]


@pytest.fixture
def surgery(lender: Lender, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Surgery:
    for name in [name for name in os.environ if name.startswith(("AIRFLOW_CONN", "SETTLEMENT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SETTLEMENT_NOW", NOW)
    monkeypatch.setenv("SETTLEMENT_SNAPSHOTS", str(tmp_path / "snapshots"))
    monkeypatch.setenv("SETTLEMENT_POLICY", str(airflow_home.policy(lender.home)))
    made = Surgery(lender=lender, monkeypatch=monkeypatch, connections=lender.connections())
    for conn_id in made.connections:
        made.connect(conn_id)
    return made


def test_a_lender_that_is_wired_right_has_nothing(surgery: Surgery) -> None:
    found = surgery.examined()
    assert {check: one.findings for check, one in found.items() if one.level is not Level.OK} == {}
    assert len(found) == len(doctor.CHECKS) >= 30


# --------------------------------------------------------------------------------------------------- connections


def test_a_source_that_does_not_answer_is_named_and_what_needs_it_is_not_checked(surgery: Surgery) -> None:
    url = "postgresql+psycopg://reader:s3cret@127.0.0.1:1/core"
    surgery.connect("lending_core", extra={"url": url})
    found = surgery.examined()
    assert surgery.amiss() == {"source_answers": ["refused"]}
    assert "s3cret" not in str(found)
    (why,) = found["source_has_no_orphans"].findings
    assert (why.level, why.code, why.values) == (
        Level.NOT_CHECKED,
        "ground_missing",
        {"ground": "source_answers"},
    )
    assert found["references_meet"].level is Level.NOT_CHECKED


def test_a_connection_that_is_not_there_is_named_with_its_variable(surgery: Surgery) -> None:
    surgery.monkeypatch.delenv("AIRFLOW_CONN_SETTLEMENT_DB")
    assert surgery.amiss() == {"books_answer": ["refused"]}
    assert "AIRFLOW_CONN_SETTLEMENT_DB" in str(surgery.said("books_answer"))


def test_a_url_that_cannot_be_read_is_not_shown(surgery: Surgery) -> None:
    surgery.connect("lending_core", extra={"url": "postgresql+psycopg://reader:s3:c@ret@host:port/core"})
    assert surgery.amiss() == {"source_answers": ["refused"]}
    assert "ret@" not in str(surgery.said("source_answers"))


# --------------------------------------------------------------------------------------------------------- roles


def test_a_source_login_that_may_write_is_named_with_the_relation(surgery: Surgery) -> None:
    with surgery.lender.planted(
        f"grant update on core.repayments to {embedded.READER}",
        undo=(f"revoke update on core.repayments from {embedded.READER}",),
    ):
        assert surgery.amiss() == {"source_login_only_reads": ["source_writes"]}
        (values,) = surgery.said("source_login_only_reads")
    assert values == {"login": "settlement_reader", "relation": "core.repayments", "rights": "update"}


def test_a_source_login_that_owns_the_source(surgery: Surgery) -> None:
    surgery.connect(
        "lending_core", extra={"url": surgery.lender.postgres.url(surgery.lender.core, user="lending_core")}
    )
    assert surgery.amiss() == {"source_login_only_reads": ["source_owned"] * 8}


def test_a_source_login_that_may_not_read_one_relation(surgery: Surgery) -> None:
    with surgery.lender.planted(
        f"revoke select on core.investors from {embedded.READER}",
        undo=(f"grant select on core.investors to {embedded.READER}",),
    ):
        assert surgery.amiss() == {"source_has_its_relations": ["source_unreadable"]}


def test_superusers(surgery: Surgery) -> None:
    for conn_id, name in (("lending_core", surgery.lender.core), ("settlement_db", surgery.lender.books)):
        surgery.connect(conn_id, extra={"url": surgery.lender.postgres.url(name, user=embedded.SUPERUSER)})
    assert surgery.amiss() == {
        "source_login_only_reads": ["source_superuser"],
        "books_login_owns_nothing": ["books_superuser"],
    }


def test_the_owner_of_the_books_over_a_network(surgery: Surgery) -> None:
    with wiring.patient() as patient:
        over_a_network = replace(patient.books_server(), is_over_a_socket=False)
    assert surgery.amiss(books_server=lambda: over_a_network) == {"books_login_owns_nothing": ["books_owned"]}


def test_the_login_of_the_tasks_is_right_over_a_network_and_the_opening_is_read_as_it(surgery: Surgery) -> None:
    url = surgery.lender.postgres.url(surgery.lender.books, user="doctor_tasks")
    surgery.connect("settlement_db", extra={"url": url})
    with surgery.lender.planted(
        "create role doctor_tasks login in role settlement_app", undo=("drop role doctor_tasks",), books=True
    ):
        with wiring.patient() as patient:
            over_a_network = replace(patient.books_server(), is_over_a_socket=False)
        with surgery.lender.planted(
            "insert into core.opening_positions values ('fee_income', '', 'KRW', 1000)",
            undo=("delete from core.opening_positions",),
        ):
            assert surgery.amiss(books_server=lambda: over_a_network) == {}
    assert surgery.seen["books_login_owns_nothing"].findings[0].code == "books_login"
    assert surgery.said("opening_positions_can_be_taken") == [{"rows": 1}]


def test_a_login_that_may_not_act_as_the_tasks_do(surgery: Surgery) -> None:
    surgery.connect(
        "settlement_db", extra={"url": surgery.lender.postgres.url(surgery.lender.books, user=embedded.READER)}
    )
    with surgery.lender.planted(
        f"grant usage on schema ledger to {embedded.READER}",
        f"grant select on ledger.alembic_version to {embedded.READER}",
        undo=(
            f"revoke select on ledger.alembic_version from {embedded.READER}",
            f"revoke usage on schema ledger from {embedded.READER}",
        ),
        books=True,
    ):
        amiss = surgery.amiss()
    assert amiss["books_login_owns_nothing"] == ["books_login_may_not_act"]


# -------------------------------------------------------------------------------------------- the source's schema


def test_a_relation_that_is_not_there(surgery: Surgery) -> None:
    with surgery.lender.planted(
        "alter table core.note_holdings rename to holdings", undo=("alter table core.holdings rename to note_holdings",)
    ):
        assert surgery.amiss() == {"source_has_its_relations": ["no_relation"]}
        assert surgery.said("source_has_its_relations") == [{"place": "core.note_holdings"}]


def test_a_column_that_only_paying_reads_is_a_warning(surgery: Surgery) -> None:
    columns = "select investor_id, name, tax_class, status, payout_account from kept"
    with surgery.lender.mapped("investors", columns):
        assert surgery.amiss() == {"source_has_its_relations": ["no_column_to_pay"]}
    columns = "select repayment_id, loan_id, received_at, amount, reverses_repayment_id from kept"
    with surgery.lender.mapped("repayments", columns):
        assert surgery.amiss() == {"source_has_its_relations": ["no_column_to_pay"]}
        assert surgery.seen["references_meet"].level is Level.NOT_CHECKED


def test_a_column_that_every_day_reads(surgery: Surgery) -> None:
    with surgery.lender.mapped("notes", "select note_id, loan_id from kept"):
        assert surgery.amiss() == {"source_has_its_relations": ["no_column"]}
        assert surgery.said("source_has_its_relations") == [{"place": "core.notes.principal"}]


def test_a_naive_timestamp_is_named_by_its_column(surgery: Surgery) -> None:
    columns = (
        "select repayment_id, loan_id, received_at at time zone 'Asia/Seoul' as received_at, amount, bank_reference,"
        " reverses_repayment_id from kept"
    )
    with surgery.lender.mapped("repayments", columns):
        assert surgery.amiss() == {"source_types_are_exact": ["naive_timestamp"]}
        assert surgery.said("source_types_are_exact") == [
            {
                "place": "core.repayments.received_at",
                "type": "timestamp without time zone",
                "wanted": "timestamp with time zone",
            }
        ]


def test_a_bigint_id_is_named_by_its_column(surgery: Surgery) -> None:
    columns = "select substr(loan_id, 2)::bigint as loan_id, currency, disbursed_on from kept"
    with surgery.lender.mapped("loans", columns):
        amiss = surgery.amiss()
        assert amiss["source_types_are_exact"] == ["wrong_type"]
        assert surgery.said("source_types_are_exact") == [
            {"place": "core.loans.loan_id", "type": "bigint", "wanted": "text"}
        ]


# ---------------------------------------------------------------------------------------------- the source's rows


def test_a_value_that_is_missing(surgery: Surgery) -> None:
    columns = (
        "select investor_id, name, nullif(tax_class, 'nonresident') as tax_class, status, payout_account, payout_bank"
    )
    with surgery.lender.mapped("investors", f"{columns} from kept"):
        assert surgery.amiss() == {"source_has_no_missing_values": ["null"]}
        assert surgery.said("source_has_no_missing_values") == [{"place": "core.investors.tax_class", "rows": 10}]


def test_a_repayment_that_stands_twice(surgery: Surgery) -> None:
    twice = (
        "select * from kept union all (select * from kept where repayment_id = (select min(repayment_id) from kept))"
    )
    with surgery.lender.mapped("repayments", twice):
        assert surgery.amiss() == {"source_has_no_duplicates": ["duplicate"]}
        assert surgery.said("source_has_no_duplicates") == [{"place": "core.repayments (repayment_id)", "rows": 1}]


def test_notes_of_a_loan_that_is_not_there(surgery: Surgery) -> None:
    with surgery.lender.mapped("loans", "select * from kept where loan_id not in ('L001', 'L002')"):
        assert surgery.amiss() == {"source_has_no_orphans": ["orphan"] * 2}
        assert {"place": "core.notes.loan_id", "rows": 100} in surgery.said("source_has_no_orphans")


def test_a_component_that_the_contract_does_not_know(surgery: Surgery) -> None:
    component = "replace(component, 'interest', '이자') as component"
    columns = f"select receivable_id, loan_id, installment_no, {component}, due_on, amount"
    with surgery.lender.mapped("receivables", f"{columns} from kept"):
        assert surgery.amiss() == {"source_values_are_known": ["value"]}
        ((values),) = surgery.said("source_values_are_known")
    assert (values["place"], values["said"]) == ("core.receivables.component", "이자")


def test_local_times_that_were_taken_for_utc(surgery: Surgery) -> None:
    columns = (
        "select repayment_id, loan_id, received_at + interval '9 hours' as received_at, amount, bank_reference,"
        " reverses_repayment_id from kept"
    )
    surgery.monkeypatch.setenv("SETTLEMENT_NOW", "2026-02-12T18:00+09:00")
    with surgery.lender.mapped("repayments", columns):
        assert surgery.amiss() == {"source_times_are_right": ["receipt_of_the_future"]}


def test_a_note_that_nobody_holds(surgery: Surgery) -> None:
    first = "(select min(note_id) from kept)"
    with surgery.lender.mapped("note_holdings", f"select * from kept where note_id <> {first}"):
        assert surgery.amiss() == {"every_note_has_its_holder": ["note_without_holder"]}


def test_a_note_that_two_hold_at_a_time(surgery: Surgery) -> None:
    again = "select note_id, investor_id, held_from + 1, held_until_exclusive from kept"
    with surgery.lender.mapped("note_holdings", f"select * from kept union all ({again} order by note_id limit 1)"):
        assert surgery.amiss() == {"every_note_has_its_holder": ["held_twice"]}


def test_a_source_that_answers_too_slowly_is_not_called_wrong(surgery: Surgery) -> None:
    surgery.monkeypatch.setattr(server, "LONGEST_STATEMENT", "300ms")
    slow = "select * from kept where pg_sleep(0.02) is not null"
    with surgery.lender.mapped("loans", slow), wiring.patient() as patient:
        (why,) = doctor._findings(doctor.source_has_no_missing_values, doctor.Examination(patient))
    assert (why.level, why.code) == (Level.NOT_CHECKED, "too_slow")


def test_notes_that_are_held_late_for_a_time_by_nobody_or_no_more(surgery: Surgery) -> None:
    held = (
        "select note_id, investor_id, held_from, held_until_exclusive from kept where note_id > 'L001-N04'"
        " union all select 'L001-N01', 'I001', date '2026-02-11', null::date"
        " union all select 'L001-N02', 'I001', date '2020-01-01', date '2026-01-15'"
        " union all select 'L001-N03', 'I001', date '2020-01-01', date '2026-01-15'"
        " union all select 'L001-N03', 'I002', date '2026-01-20', null"
        " union all select 'L001-N04', 'I001', date '2020-01-01', null"
    )
    with surgery.lender.mapped("note_holdings", held):
        assert surgery.amiss() == {"every_note_has_its_holder": ["held_late", "held_by_nobody", "holding_ended"]}
        assert [values["notes"] for values in surgery.said("every_note_has_its_holder")] == [1, 1, 1]


# ---------------------------------------------------------------------------------- the policy against the source


def test_a_currency_that_the_policy_does_not_pay_out_in(surgery: Surgery) -> None:
    columns = (
        "select loan_id, case loan_id when 'L007' then 'USD' else currency end as currency, disbursed_on from kept"
    )
    with surgery.lender.mapped("loans", columns):
        amiss = surgery.amiss()
        assert amiss["currencies_are_in_the_policy"] == ["currency_not_in_policy"]
        assert surgery.said("currencies_are_in_the_policy") == [
            {"currency": "USD", "loans": 1, "tables": "[payouts.USD], [withholding.USD]"}
        ]


def test_a_currency_that_there_is_not(surgery: Surgery) -> None:
    columns = (
        "select loan_id, case loan_id when 'L007' then 'WON' else currency end as currency, disbursed_on from kept"
    )
    with surgery.lender.mapped("loans", columns):
        assert surgery.amiss()["currencies_are_in_the_policy"] == ["unknown_currency"]


def test_a_tax_class_that_no_rule_covers(surgery: Surgery) -> None:
    surgery.policy(('tax_class = "lender"', 'tax_class = "finance_company"'))
    assert surgery.amiss() == {"every_holder_has_one_tax_rule": ["no_tax_rule"]}
    (values,) = surgery.said("every_holder_has_one_tax_rule")
    assert (values["tax_class"], values["on"]) == ("lender", "2026-02-13")


def test_two_rules_that_cover_the_same(surgery: Surgery) -> None:
    surgery.policy(('tax_class = "lender"', 'tax_class = "corporation"'))
    assert surgery.amiss() == {"every_holder_has_one_tax_rule": ["several_tax_rules", "no_tax_rule"]}


def test_a_policy_that_does_not_validate(surgery: Surgery) -> None:
    surgery.policy(('timezone = "Asia/Seoul"', 'timezone = "Asia/Soul"'))
    assert surgery.amiss() == {"policy_is_valid": ["refused"]}
    assert "Asia/Soul" in str(surgery.said("policy_is_valid"))


def test_what_was_shipped_to_be_replaced(surgery: Surgery) -> None:
    surgery.policy(("limit.KRW = 38000000", ""))
    assert surgery.amiss() == {"payouts_have_a_limit": ["no_approval_limit"]}
    surgery.monkeypatch.delenv("AIRFLOW_CONN_SETTLEMENT_SLACK")
    assert surgery.amiss() == {
        "payouts_have_a_limit": ["no_approval_limit"],
        "slack_is_reached": ["no_slack"],
        "slack_knows_the_channels": ["shipped_channel", "no_slack"],
    }


def test_addresses_without_a_connection_to_send_by(surgery: Surgery) -> None:
    surgery.policy(("email_to = []", 'email_to = ["ops@example.com"]'))
    assert surgery.amiss() == {"alerts_by_mail_can_be_sent": ["no_mail_connection"]}


def test_an_instant_that_cannot_be_read_is_said_once(surgery: Surgery) -> None:
    surgery.monkeypatch.setenv("SETTLEMENT_NOW", "2026-02-13T06:00")
    assert surgery.amiss() == {"clock_runs": ["refused"]}
    (why,) = surgery.seen["source_times_are_right"].findings
    assert (why.level, why.values) == (Level.NOT_CHECKED, {"ground": "clock_runs"})


def test_a_clock_that_stands_at_a_lender_that_goes_on(surgery: Surgery) -> None:
    surgery.policy(("last_settlement_date = 2026-02-25", ""))
    assert surgery.amiss() == {"clock_runs": ["clock_is_set"]}


def test_a_zone_that_is_not_the_bank_s(surgery: Surgery) -> None:
    surgery.policy(('timezone = "Asia/Seoul"', 'timezone = "UTC"'))
    assert surgery.amiss() == {"zone_is_the_country_of_the_calendar": ["zone_elsewhere"]}


def test_a_last_date_that_is_over(surgery: Surgery) -> None:
    surgery.monkeypatch.setenv("SETTLEMENT_NOW", "2026-03-02T09:00+09:00")
    assert surgery.amiss() == {"calendar_knows_what_comes": ["no_date_left"]}


def test_a_calendar_that_does_not_know_the_year_to_come(surgery: Surgery) -> None:
    surgery.policy(("last_settlement_date = 2026-02-25", "last_settlement_date = 2101-02-25"))
    surgery.monkeypatch.setenv("SETTLEMENT_NOW", "2100-11-30T09:00+09:00")
    assert surgery.amiss() == {
        "calendar_knows_what_comes": ["no_holidays_known"],
    }
    assert surgery.said("calendar_knows_what_comes") == [{"country": "KR", "after": "2100-12-27"}]


def test_an_override_that_changes_nothing(surgery: Surgery) -> None:
    surgery.policy(("overrides = []", 'overrides = [{ date = 2026-05-03, business = false, reason = "announced" }]'))
    assert surgery.amiss() == {"calendar_knows_what_comes": ["override_changes_nothing"]}


# ------------------------------------------------------------------------------------------------------- the books


def test_a_database_that_was_never_migrated(surgery: Surgery, empty_database_url: str) -> None:
    surgery.connect("settlement_db", extra={"url": empty_database_url})
    assert surgery.amiss() == {"books_schema_is_current": ["never_migrated"]}
    migrate(empty_database_url)
    assert surgery.amiss() == {}


def test_a_database_of_an_older_version(surgery: Surgery) -> None:
    with surgery.lender.planted(
        "update ledger.alembic_version set version_num = '0017'",
        undo=(f"update ledger.alembic_version set version_num = '{needed()}'",),
        books=True,
    ):
        assert surgery.amiss() == {"books_schema_is_current": ["other_schema"]}
        assert surgery.said("books_schema_is_current") == [{"found": "0017", "needed": needed()}]


def test_a_clock_that_runs_behind(surgery: Surgery) -> None:
    with wiring.patient() as patient:
        behind = replace(patient.source_server(), seconds_ahead=-90.0)
    assert surgery.amiss(source_server=lambda: behind) == {"database_clocks_agree": ["clock_apart"]}
    assert surgery.said("database_clocks_agree")[0]["seconds"] == "-90.0"


def test_opening_positions_that_contradict_the_source(surgery: Surgery) -> None:
    with surgery.lender.planted(
        "insert into core.opening_positions values ('investor_payable', 'NOBODY', 'KRW', 1000),"
        " ('note_principal_repaid', 'NO-NOTE', 'KRW', 1)",
        undo=("delete from core.opening_positions",),
    ):
        assert surgery.amiss() == {"opening_positions_can_be_taken": ["opening_contradicts"]}
        assert surgery.said("opening_positions_can_be_taken") == [{"sentences": 2, "rows": 2}]
        surgery.monkeypatch.setattr(opening, "is_awaited", lambda books: False)
        assert surgery.amiss() == {}


def test_opening_positions_of_a_lender_without_a_first_date(surgery: Surgery) -> None:
    surgery.policy(("first_settlement_date = 2026-02-12", ""))
    with surgery.lender.planted(
        "insert into core.opening_positions values ('fee_income', '', 'KRW', 1000)",
        undo=("delete from core.opening_positions",),
    ):
        assert surgery.amiss() == {"opening_positions_can_be_taken": ["opening_without_first_date"]}


# -------------------------------------------------------------------------------------------------------- the bank


def test_a_bank_that_does_not_answer(surgery: Surgery) -> None:
    surgery.connect("settlement_bank", port=1)
    assert surgery.amiss() == {"bank_is_reached": ["bank_unreachable"] * 2}


def test_a_bank_that_refuses_the_login_is_asked_for_nothing_else(surgery: Surgery) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path))
        return httpx.Response(401)

    with pytest.MonkeyPatch.context() as patched:
        client = httpx.Client
        patched.setattr(httpx, "Client", lambda **named: client(transport=httpx.MockTransport(answer)))
        with wiring.patient() as patient:
            examined = {one.check: one for one in doctor.examine(replace(patient, airflow=lambda: WELL))}
    assert [finding.code for finding in examined["bank_is_reached"].findings] == ["bank_login_refused"] * 2
    assert asked == [("OPTIONS", "/payments"), ("OPTIONS", "/_mock/mailbox")]


def test_the_bank_s_messages_wait_as_before_when_the_doctor_has_looked(surgery: Surgery) -> None:
    mailbox = f"{surgery.lender.bank.url}/_mock/mailbox?raw&type=camt.053&leave"
    before = httpx.get(mailbox).content
    assert surgery.amiss() == {}
    assert httpx.get(mailbox).content == before


def test_a_folder_of_the_bank_that_is_not_mounted(surgery: Surgery, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    surgery.connect("settlement_bank", extra={"drop": str(tmp_path / "out"), "pickup": str(tmp_path / "in")})
    assert surgery.amiss() == {"bank_is_reached": ["bank_unreachable"]}
    assert surgery.said("bank_is_reached") == [{"where": str(tmp_path / "out"), "detail": "no such folder"}]
    (tmp_path / "out").mkdir()
    assert surgery.amiss() == {}
    assert not list((tmp_path / "in").iterdir())


def test_an_account_with_wrong_check_digits_in_another_currency(surgery: Surgery) -> None:
    surgery.connect("settlement_bank", extra={"debtor_account": "KR32MOCK0000000099", "currency": "USD"})
    assert surgery.amiss() == {"bank_account_is_ours": ["account_in_other_currency", "account_is_no_iban"]}
    assert "0000000099" not in str(surgery.said("bank_account_is_ours"))


def test_a_lender_without_a_bank(surgery: Surgery) -> None:
    surgery.monkeypatch.delenv("AIRFLOW_CONN_SETTLEMENT_BANK")
    assert surgery.amiss() == {"bank_is_reached": ["no_bank"]}
    assert surgery.seen["bank_account_is_ours"].level is Level.NOT_CHECKED


def test_receipts_without_references(surgery: Surgery) -> None:
    columns = "select repayment_id, loan_id, received_at, amount, null::text as bank_reference, reverses_repayment_id"
    with surgery.lender.mapped("repayments", f"{columns} from kept"):
        assert surgery.amiss() == {"references_meet": ["no_references"]}


def test_references_that_payers_write_otherwise(surgery: Surgery) -> None:
    lines = (
        "insert into ledger.statement_lines (line_id, statement_id, booking_date, amount, currency, reference)"
        " select 'l' || n, 's', '2026-02-12', 1000, 'KRW', 'Invoice #' || n from generate_series(1, 20) as n"
    )
    with surgery.lender.planted(
        "set session_replication_role = replica",
        lines,
        undo=("delete from ledger.statement_lines",),
        books=True,
    ):
        assert surgery.amiss() == {"references_meet": ["references_differ"]}
        (values,) = surgery.said("references_meet")
    assert (values["met"], values["lines"], values["theirs"]) == (0, 20, "AAAAAAA #9, AAAAAAA #99")


# ----------------------------------------------------------------------------------------------------------- slack


def test_a_channel_that_slack_does_not_know(surgery: Surgery) -> None:
    surgery.policy(('id = "C0SETTLE"', 'id = "#settlement"'))
    assert surgery.amiss() == {"slack_knows_the_channels": ["channel"]}


def test_critical_alerts_that_nobody_hears_of(surgery: Surgery) -> None:
    surgery.policy(('severities = ["info", "warning", "critical"]', 'severities = ["info"]'))
    assert surgery.amiss() == {"slack_knows_the_channels": ["severity_told_nowhere"]}


def test_a_slack_that_does_not_answer_needs_no_database_to_be_found(surgery: Surgery) -> None:
    surgery.connect("settlement_slack", extra={"base_url": "http://127.0.0.1:1/api/"})
    surgery.monkeypatch.delenv("AIRFLOW_CONN_SETTLEMENT_DB")
    assert surgery.amiss() == {"books_answer": ["refused"], "slack_is_reached": ["slack_error"]}


def test_a_token_that_lacks_a_scope(surgery: Surgery) -> None:
    with wiring.patient() as patient:
        seen = patient.slack(patient.policy())
    assert seen is not None
    lacking = replace(seen, missing_scopes=["files:write"])
    assert surgery.amiss(slack=lambda _: lacking) == {"slack_is_reached": ["missing_scopes"]}


# ------------------------------------------------------------------------------------------------------- snapshots


def test_a_folder_of_inputs_that_others_can_look_into(surgery: Surgery, tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir(mode=0o755)
    assert surgery.amiss() == {"snapshots_can_be_kept": ["snapshots_open"]}
    assert surgery.said("snapshots_can_be_kept")[0]["mode"] == "0755"


def test_a_disk_that_is_nearly_full(surgery: Surgery) -> None:
    with wiring.patient() as patient:
        full = replace(patient.snapshots(), free_bytes=300 << 20, may_write=False)
    assert surgery.amiss(snapshots=lambda: full) == {
        "snapshots_can_be_kept": ["snapshots_not_writable", "snapshots_full"]
    }


# --------------------------------------------------------------------------------------------------------- airflow


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Airflow]:
    def load(**environment: str) -> Airflow:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "SETTLEMENT"))}
        project = {
            "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
            "AIRFLOW__CORE__DAGS_FOLDER": str(airflow_home.PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(airflow_home.PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "maker:op,checker:op,viewer:viewer",
        }
        return Airflow(**airflow_load.load(kept | project | environment))

    return load


def test_airflow_with_the_project_s_folders_is_well(surgery: Surgery, loaded: Callable[..., Airflow]) -> None:
    airflow = loaded()
    assert {"daily_settlement", "bank_reconciliation", "alert_delivery"} == set(airflow.dags)
    assert airflow.product_at == str(airflow_home.PACKAGE.parent)
    assert airflow.dag_states is None
    assert surgery.amiss(airflow=airflow) == {}
    (why,) = surgery.examined(airflow=airflow)["airflow_runs_the_dags"].findings
    assert (why.level, why.code) == (Level.NOT_CHECKED, "airflow_not_seen")


def test_airflow_with_the_folders_of_somebody_else(
    surgery: Surgery, loaded: Callable[..., Airflow], tmp_path: Path
) -> None:
    (tmp_path / "plugins").mkdir()
    airflow = loaded(
        AIRFLOW__CORE__PLUGINS_FOLDER=str(tmp_path / "plugins"), AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin"
    )
    assert surgery.amiss(airflow=airflow) == {
        "airflow_has_the_plugins": ["no_timetable"],
        "approvers_can_log_in": ["no_such_approver"],
    }
    assert surgery.said("approvers_can_log_in") == [{"approvers": "checker", "users": "admin"}]


def test_a_dag_that_does_not_parse(surgery: Surgery) -> None:
    broken = replace(WELL, dag_errors={"daily_settlement.py": "NameError: DAYS"}, dags=doctor.DAGS[1:])
    assert surgery.amiss(airflow=broken) == {"airflow_reads_the_dags": ["dag_error", "no_dag"]}
    somebody_else_s = replace(WELL, dag_errors={"marketing.py": "ImportError: dbt"})
    assert surgery.amiss(airflow=somebody_else_s) == {"airflow_reads_the_dags": ["dag_error"]}
    levels = [surgery.examined(airflow=seen)["airflow_reads_the_dags"].level for seen in (broken, somebody_else_s)]
    assert levels == [Level.FAILURE, Level.WARNING]


def test_a_plugin_that_does_not_load_and_a_database_that_does_not_answer(surgery: Surgery) -> None:
    broken = replace(
        WELL,
        plugin_errors={"bank_days.py": "ValueError: no policy"},
        has_timetable=False,
        database_failure='connection to server at "db", port 5432 failed: password=s3cret refused',
    )
    assert surgery.amiss(airflow=broken) == {
        "airflow_has_the_plugins": ["plugin_error", "no_timetable"],
        "airflow_runs_the_dags": ["airflow_database"],
    }
    assert "s3cret" not in str(surgery.said("airflow_runs_the_dags"))


def test_an_airflow_that_does_not_find_the_product(surgery: Surgery, monkeypatch: pytest.MonkeyPatch) -> None:
    assert surgery.amiss(airflow=replace(WELL, product_at=None)) == {"airflow_loads": ["product_not_on_path"]}
    monkeypatch.setitem(sys.modules, "settlement.config", None)
    assert airflow_load._product() is None


def test_paused_dags_users_and_the_scheduler_are_read_in_airflow_s_database(
    surgery: Surgery, empty_database_url: str
) -> None:
    assert airflow_load._of_database(empty_database_url, with_users=True) == ({}, False, [])
    with psycopg.connect(empty_database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("create table dag (dag_id text, is_paused boolean, is_stale boolean)")
        connection.execute("create table job (job_type text, state text, latest_heartbeat timestamptz)")
        connection.execute("create table ab_user (username text, active boolean)")
        connection.execute("insert into dag values ('daily_settlement', true, false), ('alert_delivery', false, false)")
        connection.execute("insert into job values ('SchedulerJob', 'running', now() - interval '20 seconds')")
        connection.execute("insert into ab_user values ('checker', true), ('gone', false)")
    states, is_alive, users = airflow_load._of_database(empty_database_url, with_users=True)
    assert states == {"daily_settlement": "paused", "alert_delivery": "running"}
    assert (is_alive, users) == (True, ["checker"])
    seen = replace(WELL, dag_states=states, is_scheduler_alive=is_alive, users=users)
    assert surgery.amiss(airflow=seen) == {"airflow_runs_the_dags": ["dags_paused", "dags_unknown"]}


def test_a_scheduler_that_is_dead_where_runs_are_expected(surgery: Surgery) -> None:
    dead = replace(WELL, is_scheduler_alive=False)
    assert surgery.amiss(airflow=dead) == {}
    surgery.monkeypatch.delenv("SETTLEMENT_NOW")
    surgery.policy(("last_settlement_date = 2026-02-25", ""))
    assert surgery.amiss(airflow=dead)["airflow_runs_the_dags"] == ["no_scheduler"]


def test_a_worker_that_sees_neither_paused_dags_nor_users_says_so(surgery: Surgery) -> None:
    worker = replace(WELL, users=None, dag_states=None, is_scheduler_alive=False)
    found = surgery.examined(airflow=worker)
    assert [found[check].level for check in ("airflow_runs_the_dags", "approvers_can_log_in")] == [
        Level.NOT_CHECKED
    ] * 2
    asked = {"airflow_health": lambda: "dag_paused", "can_ask_airflow": True}
    assert surgery.amiss(airflow=worker, **asked) == {"airflow_runs_the_dags": ["dags_paused"]}
    surgery.monkeypatch.delenv("SETTLEMENT_NOW")
    asked["airflow_health"] = lambda: "scheduler_down"
    assert surgery.amiss(airflow=worker, **asked)["airflow_runs_the_dags"] == ["airflow_says"]


def test_users_that_airflow_knows_by_number(surgery: Surgery) -> None:
    numbered = replace(WELL, auth_manager="airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager")
    assert surgery.amiss(airflow=numbered) == {"approvers_can_log_in": ["users_are_numbers"]}
    everybody = replace(WELL, is_everybody_admin=True)
    assert surgery.amiss(airflow=everybody) == {"approvers_can_log_in": ["everybody_is_admin"]}


# --------------------------------------------------------------------------------------------- the list goes on


def test_a_check_that_breaks_off_is_a_failure_of_that_check_alone(surgery: Surgery) -> None:
    def broken() -> Airflow:
        raise RuntimeError("no module named airflow, password=s3cret")

    found = surgery.examined(snapshots=broken)
    (finding,) = found["snapshots_can_be_kept"].findings
    assert (finding.level, finding.code) == (Level.FAILURE, "broke_off")
    assert "s3cret" not in str(finding)
    assert list(found) == [step.check.__name__ for step in doctor.CHECKS]


# ---------------------------------------------------------------------------------------------------- what it prints


@pytest.fixture
def typed(surgery: Surgery, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return a function that types the command at a terminal of 80 columns: its exit status, and what it prints."""

    def typed(*words: str) -> tuple[int, str]:
        with surgery.monkeypatch.context() as changed:
            changed.setattr(wiring, "_airflow", lambda: WELL)
            changed.setattr(sys, "argv", ["settlement", "doctor", *words])
            for name, value in {"TTY_COMPATIBLE": "1", "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}.items():
                changed.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        return int(ended.value.code or 0), re.sub(r"(?m) +$", "", capsys.readouterr().out)

    return typed


def test_a_failure_says_what_was_found_and_what_to_do_and_is_exit_status_one(
    surgery: Surgery, typed: Callable[..., tuple[int, str]]
) -> None:
    surgery.policy(("limit.KRW = 38000000", ""))
    status, text = typed("--lang", "en")
    assert status == 0, "a warning is no failure"
    assert "warning      The limit above which a second person is asked" in text.splitlines()
    surgery.connect("settlement_bank", port=1)
    for language, mark, summary in (
        ("en", "FAILURE", "34 checks: 32 ok, 1 warnings, 1 failures, 0 not checked."),
        ("ko", "실패", "점검 34건: 정상 32, 주의 1, 실패 1, 미확인 0"),
    ):
        status, text = typed("--lang", language)
        assert status == 1
        assert text.count(mark) == (1 if language == "en" else 2)
        assert text.splitlines()[-1] == summary
        assert "[http://127.0.0.1:1/payments]" in text
        assert "→ " in text
        assert max(cell_len(line) for line in text.splitlines()) <= 80


def test_json_has_a_row_for_each_check(surgery: Surgery, typed: Callable[..., tuple[int, str]]) -> None:
    surgery.connect("settlement_bank", extra={"currency": "USD"})
    status, text = typed("--json")
    rows = {row["check"]: row for row in json.loads(text)}
    assert status == 1
    assert list(rows) == [step.check.__name__ for step in doctor.CHECKS]
    assert rows["bank_account_is_ours"] == {
        "check": "bank_account_is_ours",
        "level": "failure",
        "findings": [
            {
                "level": "failure",
                "code": "account_in_other_currency",
                "values": {"currency": "USD", "policy": "KRW"},
                "found": "The account is in [USD], and the policy pays out in [KRW].",
                "do": "Set currency in the extra of connection settlement_bank, or add [payouts.USD] to the policy.",
            }
        ],
    }


def test_both_languages_have_a_sentence_for_all_that_can_be_found_and_say_what_to_do() -> None:
    english, korean = (output.catalogue(language, "doctor") for language in (Language.EN, Language.KO))
    places = re.compile(r"\{(\w+)\}")
    for part in ("levels", "checks", "found", "do"):
        assert {key: set(places.findall(text)) for key, text in english[part].items()} == {
            key: set(places.findall(text)) for key, text in korean[part].items()
        }
    assert set(english["levels"]) == {level.value for level in Level}
    assert list(english["checks"]) == [step.check.__name__ for step in doctor.CHECKS]
    tree = ast.parse(Path(doctor.__file__).read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    composed = {f"bank_{amiss}" for amiss in ("unreachable", "login_refused", "not_writable")}
    composed |= {f"no_{code}" for code in ("null", "duplicate", "orphan")}
    assert set(english["found"]) <= texts | composed
    fine = {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "_ok"
        and isinstance(node.args[0], ast.Constant)
    }
    fine |= {"clock", "clock_stands_on_purpose", "books_login", "books_owner_over_a_socket", "mail", "no_mail"}
    fine |= {"ground_missing"}
    assert set(english["found"]) - set(english["do"]) == fine | {
        f"no_{code}" for code in ("null", "duplicate", "orphan")
    }


def test_the_page_of_the_doctor_has_every_check_in_order_and_no_other() -> None:
    page = (airflow_home.PROJECT / "docs" / "doctor.md").read_text(encoding="utf-8")
    titles = output.catalogue(Language.EN, "doctor")["checks"]
    rows = re.findall(r"(?m)^\| `([a-z_]+)` \| ([^|]+) \| [^|]+ \|$", page)
    assert rows == [(step.check.__name__, titles[step.check.__name__]) for step in doctor.CHECKS]
