"""A run of Airflow that a person starts from a page, as if they had triggered it in Airflow: by their name, once."""

from collections.abc import Callable

from settlement.domain.errors import Refused

BANK_DAG_ID = "bank_reconciliation"

Asking = Callable[[str], None]
"""What has the bank asked now, by the name of who wants it. Raises Refused: it is asked already, or cannot be."""


def ask_bank(by: str) -> None:
    """Have `bank_reconciliation` run now: it takes in and reads again what the bank sent, and asks after the unknown.

    Asking makes a transmission, which the pages' own role cannot: the run does it, with the worker's connections.
    Raises Refused: a run is under way or waits, the DAG is paused, or Airflow does not have it.
    """
    import sqlalchemy as sa
    from airflow.models import DagModel, DagRun
    from airflow.models.dagbag import DBDagBag
    from airflow.sdk.timezone import coerce_datetime, utcnow
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, State
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    with create_session() as session:
        # Whoever else asks at the same moment waits here, and finds this run.
        found = sa.select(DagModel).where(DagModel.dag_id == BANK_DAG_ID, ~DagModel.is_stale)
        kept = session.scalar(found.with_for_update(of=DagModel))
        dag = kept and DBDagBag().get_latest_version_of_dag(BANK_DAG_ID, session=session)
        if not kept or not dag:
            raise Refused(f"Airflow has no DAG [{BANK_DAG_ID}]: look at its import errors")
        if kept.is_paused:
            raise Refused(f"[{BANK_DAG_ID}] is paused: switch it on in Airflow")
        states = tuple(State.unfinished_dr_states)
        under_way = sa.select(DagRun.run_id).where(DagRun.dag_id == BANK_DAG_ID, DagRun.state.in_(states)).limit(1)
        if run_id := session.scalar(under_way):
            raise Refused(f"The bank is being asked already, by run [{run_id}]: look again in a minute")
        now = coerce_datetime(utcnow())
        dag.create_dagrun(
            run_id=dag.timetable.generate_run_id(run_type=DagRunType.MANUAL, run_after=now, data_interval=None),
            run_after=now,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=by,
            state=DagRunState.QUEUED,
            session=session,
        )
