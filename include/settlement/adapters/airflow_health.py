"""Asks Airflow from outside whether it is well, over its public health endpoint (no login is needed)."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable

UNREACHABLE = "airflow_unreachable"
_PARTS = {"scheduler": "scheduler_down", "dag_processor": "dag_processor_down"}


def reader(airflow_url: str | None, *, timeout: float = 5.0) -> Callable[[], str | None]:
    """Return a function that answers why Airflow cannot run a day, or None: it is well, or its address is not known."""

    def read() -> str | None:
        if not airflow_url:
            return None
        try:
            # The address is the operator's own setting.
            with urllib.request.urlopen(f"{airflow_url.rstrip('/')}/api/v2/monitor/health", timeout=timeout) as answer:  # noqa: S310
                health = json.load(answer)
        except (OSError, ValueError):
            return UNREACHABLE
        for part, reason in _PARTS.items():
            status = (health.get(part) or {}).get("status") if isinstance(health, dict) else None
            if status not in (None, "healthy"):
                return reason
        return None

    return read
