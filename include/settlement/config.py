"""Where the product's settings come from: connections, environment variables, and what stands for "now".

Nothing is read at import. A connection is looked for in its environment variable (`AIRFLOW_CONN_…`, JSON or URI) and,
inside an Airflow task, in Airflow's own store; outside tasks Airflow's database is not asked, because a plain process
does not find it there.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from settlement.domain.commands import PROGRAM
from settlement.domain.errors import MissingConnection, Refused

PACKAGE = Path(__file__).parent
DEFAULT_POLICY = PACKAGE / "policies" / "kr.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One connection, whatever store it came from. The password and the extras are never shown."""

    conn_id: str
    conn_type: str
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def url(self) -> str:
        """Return the database URL in the connection's extra.

        Raises MissingConnection: it has none.
        """
        url = self.extra.get("url")
        if not url:
            raise MissingConnection(
                f'Connection [{self.conn_id}] has no "url" in its extra: set {variable(self.conn_id)} to '
                '{"conn_type": "generic", "extra": {"url": "postgresql+psycopg://..."}}'
            )
        return str(url)


def now() -> datetime:
    """Return the instant that stands for "now" in the whole product: SETTLEMENT_NOW if it is set, else the clock.

    Raises Refused: SETTLEMENT_NOW is not an ISO 8601 instant with a zone.
    """
    text = os.environ.get("SETTLEMENT_NOW")
    if not text:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"SETTLEMENT_NOW [{text}] is not an ISO 8601 instant such as 2026-02-17T06:00+09:00") from error
    if instant.tzinfo is None:
        raise Refused(f"SETTLEMENT_NOW [{text}] has no zone: write it as 2026-02-17T06:00+09:00")
    return instant.astimezone(UTC)


def is_now_set() -> bool:
    """Tell whether SETTLEMENT_NOW stands for the clock; reports and messages say so."""
    return bool(os.environ.get("SETTLEMENT_NOW"))


def policy_path() -> Path:
    """Return the path of the policy file: SETTLEMENT_POLICY, or the Korean default."""
    return Path(os.environ.get("SETTLEMENT_POLICY") or DEFAULT_POLICY)


def snapshots_path() -> Path:
    """Return the folder of the frozen inputs: SETTLEMENT_SNAPSHOTS, else one that does not depend on where we stand."""
    if path := os.environ.get("SETTLEMENT_SNAPSHOTS"):
        return Path(path)
    home = os.environ.get("SETTLEMENT_HOME") or os.environ.get("AIRFLOW_HOME") or Path.home() / ".settlement"
    return Path(home) / "snapshots"


def airflow_url() -> str | None:
    """Return where people reach Airflow's pages, for links in messages."""
    return os.environ.get("SETTLEMENT_AIRFLOW_URL") or os.environ.get("AIRFLOW__API__BASE_URL")


def airflow_health_url() -> str | None:
    """Return where the watch reaches Airflow's API server, which inside a deployment is seldom where people do."""
    return os.environ.get("SETTLEMENT_AIRFLOW_HEALTH_URL") or airflow_url()


def runbook_url() -> str | None:
    """Return where people reach the runbook, for links in messages."""
    return os.environ.get("SETTLEMENT_RUNBOOK_URL")


def command() -> str:
    """Return what people type for `settlement`, for the commands in messages: SETTLEMENT_COMMAND, or its bare name."""
    return os.environ.get("SETTLEMENT_COMMAND") or PROGRAM


def program() -> str:
    """Return what to type for `settlement` at this terminal: as `command`, or its path where no shell finds that."""
    if named := os.environ.get("SETTLEMENT_COMMAND"):
        return named
    ours = Path(sys.executable).with_name(PROGRAM)
    if not ours.exists() or shutil.which(PROGRAM) == str(ours):
        return PROGRAM
    return str(ours.relative_to(Path.cwd()) if ours.is_relative_to(Path.cwd()) else ours)


def variable(conn_id: str) -> str:
    """Return the name of the environment variable that holds a connection."""
    return f"AIRFLOW_CONN_{conn_id.upper()}"


def connection(conn_id: str) -> Connection:
    """Return the connection of this id.

    Raises MissingConnection: it is not configured, or cannot be read.
    """
    text = os.environ.get(variable(conn_id))
    if text:
        return _parse(conn_id, text)
    found = _from_airflow(conn_id)
    if found is None:
        raise MissingConnection(
            f"Connection [{conn_id}] is not configured: set the environment variable {variable(conn_id)}"
            + (
                ""
                if _is_in_airflow()
                else " (outside Airflow's tasks, connections in Airflow's database are not found)"
            )
        )
    return found


def optional_connection(conn_id: str) -> Connection | None:
    """Return the connection of this id, or None where it is not configured."""
    try:
        return connection(conn_id)
    except MissingConnection:
        if os.environ.get(variable(conn_id)):
            raise
        return None


def _parse(conn_id: str, text: str) -> Connection:
    try:
        if text.lstrip().startswith("{"):
            value = json.loads(text)
            extra = value.get("extra") or {}
            return Connection(
                conn_id=conn_id,
                conn_type=value.get("conn_type", "generic"),
                host=value.get("host"),
                port=int(value["port"]) if value.get("port") else None,
                login=value.get("login"),
                password=value.get("password"),
                schema=value.get("schema"),
                extra=json.loads(extra) if isinstance(extra, str) else extra,
            )
        parts = urlsplit(text)
        extra = dict(parse_qsl(parts.query))
        if "__extra__" in extra:
            extra = json.loads(extra["__extra__"])
        return Connection(
            conn_id=conn_id,
            conn_type=parts.scheme,
            host=unquote(parts.hostname) if parts.hostname else None,
            port=parts.port,
            login=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            schema=parts.path.lstrip("/") or None,
            extra=extra,
        )
    except (ValueError, TypeError, AttributeError) as error:
        # The text itself may hold a password: name the variable only.
        raise MissingConnection(
            f"Connection [{conn_id}]: {variable(conn_id)} is neither a JSON object nor a URI ({type(error).__name__})"
        ) from None


def _is_in_airflow() -> bool:
    return "airflow.sdk" in sys.modules


def _from_airflow(conn_id: str) -> Connection | None:
    if not _is_in_airflow():
        return None
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

    try:
        found = BaseHook.get_connection(conn_id)
    except (AirflowNotFoundException, AirflowRuntimeError):
        return None
    return Connection(
        conn_id=conn_id,
        conn_type=found.conn_type or "",
        host=found.host,
        port=found.port,
        login=found.login,
        password=found.password,
        schema=found.schema,
        extra=found.extra_dejson,
    )
