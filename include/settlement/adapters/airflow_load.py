"""Loads Airflow as its own processes do, in a process of its own, and says as JSON what came of it.

Airflow reads its settings when it is first imported, and prints and logs where it likes: neither belongs into the
process of a command. The file is run by its path, so that the product is found only where Airflow would find it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SECONDS = 120
TIMETABLE = "bank_days.BankDays"
FAB = (
    "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "settlement.adapters.approvers.NamedApprovers",
)
SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
ALIVE_SECONDS = 120
MARK = "settlement-doctor: "


def load(environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what `look` finds in a fresh process, in our environment or in this one.

    Raises RuntimeError: the process ended badly; the last line that it printed says why.
    Raises subprocess.TimeoutExpired: it did not end.
    """
    done = subprocess.run(
        [sys.executable, "-P", __file__], env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    said = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if not said:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(lines[-1] if lines else f"exit status {done.returncode}")
    found: dict[str, Any] = json.loads(said[-1].removeprefix(MARK))
    return found


def look() -> dict[str, Any]:
    """Return what Airflow is here: the fields of `ports.doctor.Airflow`."""
    product_at = _product()
    from airflow import plugins_manager
    from airflow.configuration import conf
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.version import version

    timetables = plugins_manager.get_timetables_plugins()
    plugin_errors = {Path(name).name: _line(said, -1) for name, said in plugins_manager.get_import_errors().items()}
    folder = conf.get("core", "dags_folder")
    bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
    auth_manager = conf.get("core", "auth_manager")
    url = conf.get("database", "sql_alchemy_conn")
    states, is_alive, users, failure = None, False, None, None
    if not url.startswith("sqlite"):  # which is what Airflow names where it was told of no database
        try:
            states, is_alive, users = _of_database(url, with_users=auth_manager in FAB)
        except Exception as error:
            failure = _line(str(error.__cause__ or error), 0)
    if auth_manager == SIMPLE:
        named = conf.get("core", "simple_auth_manager_users", fallback="")
        users = [one.partition(":")[0].strip() for one in named.split(",") if one.strip()]
    return {
        "version": version,
        "product_at": product_at,
        "plugin_errors": plugin_errors,
        "has_timetable": TIMETABLE in timetables,
        "dag_errors": {Path(name).name: _line(said, -1) for name, said in bag.import_errors.items()},
        "dags": sorted(bag.dags),
        "auth_manager": auth_manager,
        "is_everybody_admin": auth_manager == SIMPLE
        and conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False),
        "users": users,
        "dag_states": states,
        "is_scheduler_alive": is_alive,
        "database_failure": failure,
    }


def _product() -> str | None:
    """Return the folder that has the product, where Airflow's own processes find it too."""
    try:
        import settlement.config
    except ModuleNotFoundError:
        return None
    return str(Path(settlement.config.__file__).parents[1])


def _of_database(url: str, *, with_users: bool) -> tuple[dict[str, str], bool, list[str] | None]:
    """Return how DAGs stand in Airflow's database, whether a scheduler lives, and who may log in.

    A database that is not there yet knows no DAG and no user.
    """
    import sqlalchemy as sa

    engine = sa.create_engine(url, poolclass=sa.NullPool)
    states: dict[str, str] = {}
    is_alive = False
    users: list[str] | None = [] if with_users else None
    with engine.connect() as connection:
        there_are = set(sa.inspect(connection).get_table_names())
        if "dag" in there_are:
            rows = connection.execute(sa.text("select dag_id, is_paused from dag where not is_stale"))
            states = {dag_id: "paused" if is_paused else "running" for dag_id, is_paused in rows}
        if "job" in there_are:
            heard = sa.text(
                "select exists (select from job where job_type = 'SchedulerJob' and state = 'running'"
                " and latest_heartbeat > now() - cast(:age as interval))"
            )
            is_alive = bool(connection.execute(heard, {"age": f"{ALIVE_SECONDS} seconds"}).scalar())
        if with_users and "ab_user" in there_are:
            users = [name for (name,) in connection.execute(sa.text("select username from ab_user where active"))]
    return states, is_alive, users


def _line(said: str, place: int) -> str:
    """Return one line of what an error says: its first, or of a traceback its last."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[place] if lines else ""


if __name__ == "__main__":
    print(MARK + json.dumps(look()), flush=True)
