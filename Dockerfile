# The image of every Airflow service and of the watch; with `--build-arg LAB=1`, also of the rehearsal's bank, which is
# not part of the product and not in its image.
#
# It is built on plain Python and uv.lock, not on apache/airflow: that image brings several hundred packages at versions
# of its own, and installing the lock on top of them would make a third set that no test ever ran against. Here is
# exactly what the tests ran with. The code in it is a copy; docker-compose.yaml mounts the folders over it.

FROM python:3.11.14-slim-bookworm AS build
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
WORKDIR /opt/settlement
ARG LAB
COPY pyproject.toml uv.lock ./
RUN pip install --no-cache-dir "uv==$(sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/\1/p;}' uv.lock)" \
 && uv sync --frozen --no-dev ${LAB:+--extra lab} --no-install-project --no-cache
COPY README.md LICENSE ./
COPY include include
RUN uv sync --frozen --no-dev ${LAB:+--extra lab} --no-cache

FROM python:3.11.14-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH AIRFLOW_HOME=/opt/airflow PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A volume takes the owner of the folder that it is mounted on, so the folders are made here.
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home airflow \
 && install -d -o airflow -m 0700 /var/lib/settlement /var/lib/settlement/snapshots /var/lib/settlement/bank /var/lib/mock-bank \
 && install -d -o airflow /opt/airflow/logs
WORKDIR /opt/settlement
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/settlement /opt/settlement
COPY dags dags
COPY plugins plugins
USER airflow
CMD ["airflow", "version"]
