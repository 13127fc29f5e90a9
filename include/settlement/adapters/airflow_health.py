"""Asks Airflow from outside why a day does not run: over its health endpoint, and its API where the watch has a login.

The health endpoint is public and knows of a dead scheduler or DAG processor. That the DAG is paused, that its file does
not parse, or that it was never scheduled is said only to a user: connection `settlement_airflow` names one.
"""

from collections.abc import Callable
from typing import Any

import httpx
import structlog

log = structlog.get_logger(__name__)

UNREACHABLE = "airflow_unreachable"
_PARTS = {"scheduler": "scheduler_down", "dag_processor": "dag_processor_down"}


def reader(
    airflow_url: str | None,
    *,
    login: tuple[str, str] | None = None,
    dag_id: str = "daily_settlement",
    timeout: float = 5.0,
) -> Callable[[], str | None]:
    """Return a function that answers why Airflow does not run a day, or None: as far as is known it is well."""

    def read() -> str | None:
        if not airflow_url:
            return None
        url = airflow_url.rstrip("/")
        try:
            health = _call(f"{url}/api/v2/monitor/health", timeout=timeout)
            for part, reason in _PARTS.items():
                status = (health.get(part) or {}).get("status") if isinstance(health, dict) else None
                if status not in (None, "healthy"):
                    return reason
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return UNREACHABLE
        return _of_dag(url, dag_id, login, timeout=timeout) if login else None

    return read


def _of_dag(url: str, dag_id: str, login: tuple[str, str], *, timeout: float) -> str | None:
    """Return what is wrong with the DAG, as Airflow tells a user; None if it does not answer this user."""
    try:
        name, password = login
        said = _call(f"{url}/auth/token", body={"username": name, "password": password}, timeout=timeout)
        token = said["access_token"]
        try:
            dag = _call(f"{url}/api/v2/dags/{dag_id}", token=token, timeout=timeout)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 404:
                raise
            dag = None
        if dag is None or dag.get("is_stale") or dag.get("has_import_errors"):
            errors = _call(f"{url}/api/v2/importErrors", token=token, timeout=timeout)["total_entries"]
            return "dag_unparsable" if errors else "dag_unknown"
        return "dag_paused" if dag["is_paused"] else "not_scheduled"
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("airflow_health.no_answer_to_the_login", login=login[0], kind=type(error).__name__)
        return None


def _call(url: str, *, token: str | None = None, body: dict[str, str] | None = None, timeout: float) -> Any:
    answer = httpx.request(
        "POST" if body else "GET",
        url,
        json=body,
        headers={"Authorization": f"Bearer {token}"} if token else None,
        timeout=timeout,
        follow_redirects=True,
    )
    return answer.raise_for_status().json()
