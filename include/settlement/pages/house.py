"""What the pages stand on, as this deployment has it: policy, calendar, settlement database, Airflow's secret."""

import hashlib
from functools import cache

from settlement import wiring
from settlement.pages.screen import House


@cache
def of_airflow() -> House:
    """Return the house of a process of Airflow's API server; built at the first page.

    Raises Refused: the policy does not validate, or the settlement database is not configured.
    """
    from airflow.configuration import conf

    policy = wiring.load_policy()
    return House(
        policy=policy,
        calendar=wiring.calendar_of(policy),
        engine=wiring.operators_engine(),
        secret=hashlib.sha256(b"settlement pages " + conf.get_mandatory_value("api", "secret_key").encode()).digest(),
    )
