"""The operator's pages: money, in the same window as Airflow's tasks.

A FastAPI app that Airflow mounts (`plugins/settlement_pages.py`). `app.py` puts it together; each page is a module with
its route, its queries (`sql/`) and its template (`templates/`). Pages read; what a person decides goes through the
stages, in `actions.py`, as it does on the command line.
"""
