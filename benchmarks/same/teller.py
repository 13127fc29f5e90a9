"""Runs the DAGs of one checkout, as orders come in; a process of that checkout's own environment executes this file.

It knows the checkout by what never changes: the DAG files, and the environment in which they find everything else. An
order is a line of JSON on standard input: the environment to have, the DAG, its dates, its conf. The answer is a line
on standard output: the state in which the run ended. What Airflow prints goes to standard error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any


def main() -> None:
    """Say whose product this is, then carry out one order after the other until there are no more."""
    with os.fdopen(os.dup(0), encoding="utf-8") as orders, os.fdopen(os.dup(1), "w", encoding="utf-8") as said:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        found = importlib.util.find_spec("settlement")
        _say(said, product=found.origin if found else None)
        for line in orders:
            try:
                _say(said, state=_run(**json.loads(line)))
            except Exception as error:
                traceback.print_exc()
                _say(said, error=f"{type(error).__name__}: {error}")


def _run(*, environment: dict[str, str], dag: str, logical_date: str, run_after: str, conf: dict[str, Any]) -> str:
    os.environ.update(environment)
    run = _dags()[dag].test(
        logical_date=datetime.fromisoformat(logical_date), run_after=datetime.fromisoformat(run_after), run_conf=conf
    )
    return str(run.state)


def _dags() -> dict[str, Any]:
    """Parse the DAG files, in the policy of this order; a task that fails here is not tried again and waits for nobody.

    Raises RuntimeError: one of them does not parse.
    """
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
    if bag.import_errors:
        raise RuntimeError(f"A DAG does not parse: {bag.import_errors}")
    for parsed in bag.dags.values():
        for task in parsed.tasks:
            task.retries = 0
    return dict(bag.dags)


def _say(said: Any, **what: Any) -> None:
    print(json.dumps(what), file=said, flush=True)


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # everything is said and committed; Airflow's own farewell takes seconds and does nothing for us
