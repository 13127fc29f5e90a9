"""The settlement of one bank business day, from the repayments received to the proof that every won is in its place.

1. extract: open the day, and keep its inputs as they are now
2. compute: who is owed what, posted to the books
3. transfer: hear the bank, prepare the payouts, have them approved where the policy wants it, send them, hear again
4. reconcile: take in the statement, match it, prove that the books and the bank agree
5. report: certify the day and tell people

Rows pass between the steps through the settlement database, by date; XCom carries the day and its control totals only.
Clearing any task and letting it run is the whole recovery: a step that has done its work finds it and changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param, TaskGroup, chain, dag, task
from announcements import SETTLEMENT_DATES, announce
from bank_days import BankDays
from task_rules import TASK_RULES, airflow_run, left_of_backfill, run_failed, services, the_day

PARAMS = {
    "settlement_date": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Settlement date",
        description="The bank business day to settle. Empty: the run's own, or the oldest that is left.",
    ),
    "dry_run": Param(
        False,
        type="boolean",
        title="Dry run",
        description="Compute and report; book nothing, pay nothing, send nothing.",
    ),
    "transfer": Param(
        True, type="boolean", title="Transfer", description="Pay what is owed. Without it: compute and book only."
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        maxLength=500,
        title="Reason",
        description="Why a settled day is settled again; needed if its figures change.",
    ),
}


@task
def open_day(**context: Any) -> dict[str, Any]:
    """Decide which date is settled, refuse one that cannot be, and make this run the one that settles it."""
    from settlement.stages import asked, open_day

    with services() as (opened, now):
        request = asked.request_of(airflow_run(context), calendar=opened.calendar, now=now)
        return open_day.open_day(opened, request, now=now).to_json()


@task
def freeze_inputs() -> dict[str, Any]:
    """Read the source in one snapshot and keep what was read, so that the day can be computed again byte for byte."""
    from settlement.stages import extract

    with the_day() as (opened, day, now):
        return extract.freeze_inputs(opened, day, now=now)


class SecondPerson(ApprovalOperator):
    """Waits, where it must, for the word of one of the policy's approvers, asked in the policy's language.

    Known limit: an answer given in the very second of the question can meet a scheduler that has not yet heard that the
    task waits. Airflow 3.3 then calls the task lost, and its retry asks again; nothing is paid in between.
    """

    def __init__(self, **named: Any) -> None:
        super().__init__(subject="A second person's word", defaults=self.REJECT, **named)

    def wait_for_answer(self, question: dict[str, Any], context: Any, *, now: datetime) -> Any:
        """Put a question that the stage `approve` or `take_back` asks, and let Airflow wait for its answer."""
        from settlement.domain.errors import Refused

        self.subject, self.body = question["subject"], question["body"]
        self.assigned_users = [{"id": user, "name": user} for user in question["approvers"]]
        self.response_timeout = datetime.fromisoformat(question["expires_at"]) - now
        shown = self._shown(context)
        if question["approval_id"] not in shown.body:
            raise Refused(
                f"What this run asked about has changed since, and Airflow would show its former question"
                f" [{shown.subject}]: trigger daily_settlement for the same date again, and the new run asks for"
                " exactly this"
            )
        return super().execute(context)

    def _shown(self, context: Any) -> Any:
        """Put the question to Airflow and return the one that it shows: in a cleared run, the first that was asked."""
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        return SUPERVISOR_COMMS.send(
            CreateHITLDetailPayload(
                ti_id=context["ti"].id,
                options=self.options,
                subject=self.subject,
                body=self.body,
                defaults=self.defaults,
                params=self.serialized_params,
                multiple=self.multiple,
                assigned_users=self.assigned_users,
            )
        )

    def answer(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Return what was answered, and by whom, as the stages take it."""
        answered = HITLOperator.execute_complete(self, context, event)
        user = answered["responded_by_user"]
        return {"approved": answered["chosen_options"] == [self.APPROVE], "by": user["name"] if user else "timeout"}


class Distribution(SecondPerson):
    """Apply the money, share it among the investors, take fees and taxes, and post all of it in one transaction.

    Where that takes back what was paid out, a second person is asked first; rejected, what was settled stands
    and the task fails.
    """

    def execute(self, context: Any) -> Any:
        from settlement.domain.errors import Unapproved

        try:
            return self._distributed()
        except Unapproved as unapproved:
            self.log.info("%s", unapproved)
        from settlement.stages import take_back

        with the_day() as (opened, day, now):
            question = take_back.ask(opened, day, triggered_by=context["dag_run"].triggering_user_name, now=now)
        return self.wait_for_answer(question, context, now=now)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer, and go on with it at once."""
        from settlement.stages import take_back

        with the_day() as (opened, day, now):
            take_back.decide(opened, day, **self.answer(context, event), now=now)
        return self._distributed()

    def _distributed(self) -> dict[str, Any]:
        from settlement.stages import compute

        with the_day() as (opened, day, now):
            return compute.distribute(opened, day, now=now)


@task
def take_in() -> dict[str, Any]:
    """Take in what the bank has sent, and wait for the statement that the policy wants to see before money moves."""
    from settlement.stages import gate

    with the_day() as (opened, day, now):
        return gate.wait_for_statement(opened, day, now=now)


@task
def prepare() -> dict[str, Any]:
    """Make payouts of what the ledger owes, unless the money for all of them is not there."""
    from settlement.stages import prepare

    with the_day() as (opened, day, now):
        return prepare.prepare(opened, day, now=now)


class PayoutApproval(SecondPerson):
    """Ask a second person about payouts above the policy's limit; below it, return at once.

    A rejection, or no answer in the policy's time, is a decision and no failure: the payouts go back to the balances,
    nothing is skipped, and the tasks behind this one have nothing to send.
    """

    def execute(self, context: Any) -> Any:
        from settlement.stages import approve

        triggered_by = context["dag_run"].triggering_user_name
        with the_day() as (opened, day, now):
            question = approve.ask(opened, day, triggered_by=triggered_by, now=now)
        return self.wait_for_answer(question, context, now=now) if question["needed"] else question

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer at once: what happens to this task from here on cannot lose it or ask for it again."""
        from settlement.stages import approve

        with the_day() as (opened, day, now):
            return approve.decide(opened, day, **self.answer(context, event), now=now)


@task
def submit() -> dict[str, Any]:
    """Hand the approved payouts to the bank under the ids that they keep for life."""
    from settlement.stages import submit

    with the_day() as (opened, day, now):
        return submit.submit(opened, day, now=now)


@task
def answers() -> dict[str, Any]:
    """Take in what the bank says of the payouts, and ask about those of which it said nothing."""
    from settlement.stages import inquire

    with the_day() as (opened, day, now):
        return inquire.hear_answers(opened, day, now=now)


@task
def statement() -> dict[str, Any]:
    """Take in the bank's statements and prove each before it is used."""
    from settlement.stages import take_in

    with the_day() as (opened, day, now):
        return take_in.for_day(opened, day, now=now)


@task
def match() -> dict[str, Any]:
    """Match the statement's lines with receipts and payouts; what is left over becomes a break with a name."""
    from settlement.stages import match

    with the_day() as (opened, day, now):
        return match.for_day(opened, day, now=now)


@task
def prove() -> dict[str, Any]:
    """Prove that the money at the bank is the money in the books, line by line."""
    from settlement.stages import prove

    with the_day() as (opened, day, now):
        return prove.prove(opened, day, now=now)


@task(inlets=[SETTLEMENT_DATES], outlets=[SETTLEMENT_DATES])
def report(**context: Any) -> dict[str, Any]:
    """Say how the day stands, to people and to other DAGs, and what its backfill came to if this was its last run."""
    from settlement.stages import notify, report

    with the_day() as (opened, day, now):
        computed = context["ti"].xcom_pull(task_ids="compute.distribute")
        status = report.report(opened, day, computed=computed, now=now)
        if day.backfill_id:
            notify.end_backfill(opened, day.backfill_id, left=left_of_backfill(context), now=now)
        if not day.dry_run:
            announce(opened, context, own=day.settlement_date, now=now)
        return status


@dag(
    schedule=BankDays.of_policy(),
    catchup=False,
    max_active_runs=16,  # a day that waits for its approval holds no later day back; the database keeps them apart
    max_active_tasks=4,
    default_args=TASK_RULES,
    on_failure_callback=run_failed,
    params=PARAMS,
    doc_md=__doc__,
    tags=["settlement"],
)
def daily_settlement() -> None:
    with TaskGroup("extract") as extract:
        chain(open_day(), freeze_inputs())

    with TaskGroup("compute") as compute:
        # The time of the answer is the question's; one that is set here lets Airflow keep that of the work beside it.
        Distribution(task_id="distribute", response_timeout=timedelta(hours=1))

    with TaskGroup("transfer") as transfer:
        approve = PayoutApproval(task_id="approve", execution_timeout=None)
        chain(take_in(), prepare(), approve, submit(), answers())

    with TaskGroup("reconcile") as reconcile:
        chain(statement(), match(), prove())

    chain(extract, compute, transfer, reconcile, report())


daily_settlement()
