"""The services of docker-compose.yaml without images: their very commands, environments, mounts and health checks.

A real compose parser reads the file. What an image or a network would give is put in its place and nothing else is
changed: a path that a service mounts becomes the folder that is mounted there, a service's name becomes loopback, a
fixed port becomes a free one. A path that a service does not mount stays what it is, and is not there.

PostgreSQL is the embedded one, in which the image's start-up scripts are run. Debian gives redis-server and
docker-compose. Everything ends with the `with` block, however that ends.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import yaml
from settlement_lab.demo import airflow_home
from settlement_lab.servers import embedded, tether

PROJECT = Path(__file__).parents[2]
PORTS = ("6379", "8080", "8090", "8793", "8794", "8974")
OWN_FOLDERS = ("/opt/airflow",)  # writable in a container, and its own
HEALTHY_SECONDS = 240.0
INIT_SECONDS = 300.0


@dataclass(kw_only=True)
class Stack:
    """The running services."""

    folder: Path
    config: Mapping[str, Any]
    server: embedded.Server
    ports: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def url(self, port: str) -> str:
        """Return where a port of the compose file listens here."""
        return f"http://127.0.0.1:{self.ports[port]}"

    def start(self, service: str) -> None:
        """Start one service after what it depends on; return at once."""
        for other, dependency in self.config["services"][service].get("depends_on", {}).items():
            self.wait(other, dependency["condition"])
        began = time.monotonic()
        if service == "postgres":
            self._create_databases()
        else:
            with self._log(service).open("ab") as output:
                command = self._words(service, self.config["services"][service]["command"])
                self.processes[service] = tether.start(command, env=self.environment(service), output=output)
        self.seconds[service] = began

    def wait(self, service: str, condition: str) -> None:
        """Wait until a service is healthy, or has done its work."""
        began = self.seconds[service]
        if condition == "service_completed_successfully":
            status = self.processes[service].wait(INIT_SECONDS)
            assert status == 0, f"{service} ended with status {status}:\n{self.last_words(service)}"
            return
        assert condition == "service_healthy"
        while (found := self.check(service)).returncode:
            process = self.processes.get(service)
            assert process is None or process.poll() is None, f"{service} ended:\n{self.last_words(service)}"
            assert time.monotonic() - began < HEALTHY_SECONDS, (
                f"{service} is not healthy after {HEALTHY_SECONDS:.0f} s: {found.stdout}\n{self.last_words(service)}"
            )
            time.sleep(0.5)

    def check(self, service: str) -> subprocess.CompletedProcess[str]:
        """Run a service's health check once."""
        test = self.config["services"][service]["healthcheck"]["test"]
        command = ["/bin/sh", "-c", *test[1:]] if test[0] == "CMD-SHELL" else test[1:]
        return self.run(service, command)

    def run(self, service: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command as `docker compose exec` would, in the environment of a service."""
        return subprocess.run(
            self._words(service, command),
            env=self.environment(service),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def environment(self, service: str) -> dict[str, str]:
        """Return a service's whole environment: what the file gives it, and what its image would."""
        given = {
            name: self._here(service, str(value))
            for name, value in self.config["services"][service].get("environment", {}).items()
            if value is not None
        }
        folder = self.folder / service
        folder.mkdir(exist_ok=True)
        programs = f"{embedded.BIN}:" if service == "postgres" else f"{PROJECT / '.venv' / 'bin'}:"
        image = {
            "HOME": str(folder),
            "HOSTNAME": socket.gethostname(),
            "LANG": "C.UTF-8",
            "PATH": f"{programs}/usr/local/bin:/usr/bin:/bin",
            "PYTHONUNBUFFERED": "1",
        }
        loopback = {"AIRFLOW__API__HOST": "127.0.0.1"} if service == "api-server" else {}
        postgres = {"PGHOST": str(self.server.socket_dir)} if service == "postgres" else {}
        return image | given | loopback | postgres

    def stop(self) -> None:
        """Stop every service at once, as `docker compose down` does, and wait for the last one."""
        for process in self.processes.values():
            if process.stdin is not None:
                process.stdin.close()
        for process in self.processes.values():
            tether.stop(process)

    def password(self, user: str) -> str:
        """Return the first password of one of the people."""
        return str(self.config["services"]["airflow-init"]["environment"][f"{user.upper()}_PASSWORD"])

    def ask(self, database: str, role: str, query: str) -> list[tuple[Any, ...]]:
        """Ask one of the databases under a role."""
        with psycopg.connect(self.server.url(database, user=role, driver="postgresql")) as connection:
            return connection.execute(query.encode()).fetchall()

    def last_words(self, service: str) -> str:
        """Return the end of a service's log."""
        return self._log(service).read_text(errors="replace")[-4000:] if self._log(service).exists() else ""

    def _log(self, service: str) -> Path:
        return self.folder / f"{service}.log"

    def _words(self, service: str, command: list[str]) -> list[str]:
        return [self._here(service, word) for word in command]

    def _here(self, service: str, text: str) -> str:
        """Return a text of the file as it must be where there are no containers."""
        text = text.replace("$$", "$")  # as the parser writes what it must not expand again
        for target, source in sorted(self._mounts(service).items(), key=lambda mount: -len(mount[0])):
            text = re.sub(rf"{re.escape(target)}(?![\w.-])", str(source), text)
        if service == "postgres" and text == "127.0.0.1":
            return str(self.server.socket_dir)  # the embedded server has no other address
        text = re.sub(r"@postgres:5432/(\w+)", rf"@/\1?host={self.server.socket_dir}", text)
        text = re.sub(r"(?<=[@/])(redis|api-server|bank)(?=:\d)|(?<=\"host\": \")bank(?=\")", "127.0.0.1", text)
        text = text.replace("0.0.0.0", "127.0.0.1")
        return re.sub(rf"(?<![\w.-])({'|'.join(PORTS)})(?![\w.-])", lambda port: self.ports[port[0]], text)

    def _mounts(self, service: str) -> dict[str, Path]:
        """Return what a service finds at which path: mounted folders, shared volumes, and folders of its own."""
        mounts = {target: self.folder / service / Path(target).name for target in OWN_FOLDERS}
        for volume in self.config["services"][service].get("volumes", ()):
            if isinstance(volume, str):
                source, target = volume.split(":")[:2]
            else:
                source, target = volume["source"], volume["target"]
            if source.startswith("/"):
                mounts[target] = Path(source)
            else:
                mounts[target] = self.folder / "volumes" / source
                mounts[target].mkdir(parents=True, exist_ok=True)
        return mounts

    def _create_databases(self) -> None:
        """Do what the image does on an empty volume: run the scripts of the mounted folder in order."""
        for database in embedded.OWNERS:
            self.server.drop_database(database)
        scripts = self._mounts("postgres")["/docker-entrypoint-initdb.d"]
        for script in sorted(scripts.glob("*.sh")):
            assert os.access(script, os.X_OK), f"{script.name} must be executable, or the image would source it"
            done = self.run("postgres", [str(script)])
            assert done.returncode == 0, f"{script.name}: {done.stdout}"


@contextmanager
def running(
    folder: Path, settings: Mapping[str, str], *, profile: str | None = None, only: Collection[str] = ()
) -> Iterator[Stack]:
    """Run every service of the file, and of one profile, or `only` some, with these settings on top of a fresh .env."""
    config = parsed(folder, settings)
    with embedded.running(folder / "postgres-server", durable=False) as server, ExitStack() as stopping:
        stack = Stack(
            folder=folder,
            config=config,
            server=server,
            ports={port: str(airflow_home.free_port()) for port in PORTS},
        )
        stopping.callback(stack.stop)
        services = [
            name
            for name, service in config["services"].items()
            if (name in only if only else not service.get("profiles") or profile in service["profiles"])
        ]
        for service in in_order(config, services):
            stack.start(service)
        for service in services:
            if "healthcheck" in config["services"][service]:
                stack.wait(service, "service_healthy")
            else:
                stack.wait(service, "service_completed_successfully")
        yield stack


def in_order(config: Mapping[str, Any], services: list[str]) -> list[str]:
    """Return the services so that each comes after what it depends on."""
    ordered: list[str] = []
    while waiting := [name for name in services if name not in ordered]:
        ready = [n for n in waiting if set(config["services"][n].get("depends_on", ())) <= set(ordered)]
        assert ready, f"{waiting} wait for each other"
        ordered += ready
    return ordered


def parsed(folder: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    """Return what a real compose parser makes of the file with a fresh .env and these settings."""
    filled = runpy.run_path(str(PROJECT / "compose" / "new_env.py"))["filled"]
    lines = [filled((PROJECT / ".env.example").read_text(encoding="utf-8"))]
    lines += [f"{name}='{value}'\n" for name, value in settings.items()]
    env_file = folder / "env"
    env_file.write_text("".join(lines), encoding="utf-8")
    parser = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    done = subprocess.run(
        [*parser, "--profile", "rehearsal", "--env-file", str(env_file), "config"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"The compose file does not parse; apt-get install docker-compose\n{done.stderr}"
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found
