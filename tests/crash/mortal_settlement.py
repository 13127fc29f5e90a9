"""The product's Airflow DAG, whose tasks die where they are told to. For test_through_airflow.py, which copies it.

`SETTLEMENT_TEST_KILLS` names a folder with one file for each killing, named after the point and its side. Who dies
takes the file with him, so each killing happens once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import task_rules

of_the_product = task_rules.services


@contextmanager
def services() -> Iterator[Any]:
    from settlement_lab.rehearse.points import watched

    with watched(die_if_told_to), of_the_product() as opened:
        yield opened


def die_if_told_to(point: str, side: str) -> None:
    try:
        (Path(os.environ["SETTLEMENT_TEST_KILLS"]) / f"{point} {side}").unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


task_rules.services = services
task_rules.TASK_RULES |= {"retry_delay": timedelta(seconds=1), "retry_exponential_backoff": False}

import daily_settlement  # noqa: E402, F401 - the DAG of the file itself, with what stands above
