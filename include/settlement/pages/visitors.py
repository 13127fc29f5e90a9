"""Who looks at a page, and what they may do: as Airflow knows them.

Whoever may read the DAG `daily_settlement` may look; whoever may answer its approvals may act; whoever of these may
trigger `bank_reconciliation` may have the bank asked.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import HTTPException, Request

from settlement.pages.runs import BANK_DAG_ID

DAG_ID = "daily_settlement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who has logged in, by the name under which what they do is kept."""

    name: str
    may_act: bool
    may_ask_bank: bool = False


Door = Callable[[Request], Awaitable[Visitor]]
"""What tells who asks for a page. Raises HTTPException: 401 nobody has logged in, 403 they may not look."""


async def of_airflow(request: Request) -> Visitor:
    """Return who is logged in to Airflow, by the UI's cookie or a bearer token.

    Raises HTTPException: 401 nobody is; 403 they may not read the DAG.
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

    user = await get_user(request, None, await bearer_scheme(request))
    manager, dag = get_auth_manager(), DagDetails(id=DAG_ID)
    if not manager.is_authorized_dag(method="GET", user=user, details=dag):
        raise HTTPException(403)
    may_act = manager.is_authorized_dag(method="PUT", user=user, access_entity=DagAccessEntity.HITL_DETAIL, details=dag)
    asks, run = DagDetails(id=BANK_DAG_ID), DagAccessEntity.RUN
    may_trigger = manager.is_authorized_dag(method="POST", user=user, access_entity=run, details=asks)
    return Visitor(name=user.get_name(), may_act=may_act, may_ask_bank=may_act and may_trigger)
