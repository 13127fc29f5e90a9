"""The operator's pages in Airflow's UI: an entry of the navigation, a tab of the DAG, and a tab of each of its runs.

Registration only. Every process of Airflow reads this file, and only the API server shows pages: the app is made at the
first request for one.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

PREFIX = "/settlement"
HOME = urlsplit(conf.get("api", "base_url", fallback=None) or "").path.rstrip("/") + PREFIX


class Pages:
    """The app, made when it is first asked for a page."""

    def __init__(self) -> None:
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.app is None:
            from settlement.pages import app, house

            self.app = app.make(house.of_airflow)
        await self.app(scope, receive, send)


class SettlementPagesPlugin(AirflowPlugin):
    name = "settlement_pages"
    fastapi_apps = [{"app": Pages(), "url_prefix": PREFIX, "name": "Settlement"}]
    external_views = [
        {"name": "Settlement", "href": f"{HOME}/", "destination": "nav", "url_route": "settlement"},
        {
            "name": "Settlement",
            "href": f"{HOME}/of/{{DAG_ID}}",
            "destination": "dag",
            "url_route": "settlement-today",
        },
        {
            "name": "Settlement date",
            "href": f"{HOME}/of/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "settlement-date",
        },
    ]
