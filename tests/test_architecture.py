"""What holds of the whole house: who may import whom, what is light, and what must not be found in it."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import pytest
import typer
import yaml
from settlement import cli
from settlement.domain import frames
from settlement.domain.alerts.event import AlertState
from settlement.domain.bank.messages import MessageState, SubmissionOutcome
from settlement.domain.bank.statement import LineState
from settlement.domain.breaks import BreakState
from settlement.domain.days import DayState
from settlement.domain.payments.files import FileState
from settlement.domain.payments.state import PayoutState
from typer.core import TyperGroup

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "include" / "settlement"
MODULES = sorted(PACKAGE.rglob("*.py"))
OURS = ("include", "dags", "plugins", "tests", "benchmarks")
HEAVY = ("pandas", "numpy", "pyarrow", "pydantic", "sqlalchemy")


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def imports_of(module: Path) -> set[str]:
    """Return the full names of what a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize(
    ("layer", "known"),
    [
        ("domain", {"numpy", "pandas", "pyarrow", "pydantic", "holidays"}),
        ("ports", {"numpy", "pandas"}),
        ("stages", {"numpy", "pandas", "structlog"}),
    ],
)
def test_arithmetic_ports_and_stages_know_no_outside_thing(layer: str, known: set[str]) -> None:
    found = {name.partition(".")[0] for module in (PACKAGE / layer).rglob("*.py") for name in imports_of(module)}
    assert found - sys.stdlib_module_names - {"settlement"} <= known


def test_our_own_requests_go_through_one_library() -> None:
    lab = PROJECT / "include" / "settlement_lab"
    asks = {
        path.name: sorted({"urllib.request", "requests", "http.server"} & imports_of(path))
        for path in [*MODULES, *lab.rglob("*.py")]
    }
    assert {name: found for name, found in asks.items() if found} == {"faults.py": ["http.server"]}, (
        "the rehearsal's proxy breaks what a library keeps whole; everything else uses httpx and starlette"
    )


def test_only_the_wiring_knows_the_paths_of_the_reference_counterparty() -> None:
    spelled = [path.relative_to(PACKAGE).as_posix() for path in MODULES if "/_mock" in path.read_text("utf-8")]
    assert spelled == ["wiring.py"]


def test_arithmetic_asks_no_clock_and_no_environment() -> None:
    asks = re.compile(r"\b(datetime\.now|date\.today|time\.time|os\.environ|getenv|random\.\w+)\b")
    assert [str(path) for path in (PACKAGE / "domain").rglob("*.py") if asks.search(path.read_text("utf-8"))] == []


def test_what_stands_for_now_is_read_in_one_place() -> None:
    read = re.compile(r"""(environ\.get|getenv)\("SETTLEMENT_NOW"|environ\["SETTLEMENT_NOW"\](?! = )""")
    readers = [path for path in MODULES if read.search(path.read_text("utf-8"))]
    assert [path.relative_to(PACKAGE).as_posix() for path in readers] == ["config.py"]


def test_dag_files_import_the_product_only_inside_tasks() -> None:
    for module in [*(PROJECT / "dags").glob("*.py"), *(PROJECT / "plugins").glob("*.py")]:
        top = ast.parse(module.read_text(encoding="utf-8")).body
        imported = {
            name
            for node in top
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in imports_of_node(node)
            if name.startswith("settlement")
        }
        assert imported <= {"settlement.domain.days"}, module


def imports_of_node(node: ast.Import | ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names} if isinstance(node, ast.Import) else {node.module or ""}


def test_what_the_scheduler_imports_is_light() -> None:
    code = f"import sys, settlement.domain.days; print([name for name in {HEAVY} if name in sys.modules])"
    assert output_of(code) == "[]"


def test_what_a_callback_imports_to_tell_of_a_failure_and_to_send_it_knows_no_frames() -> None:
    frames = ("pandas", "numpy", "pyarrow")
    code = f"""
import sys
import settlement.config, settlement.wiring, settlement.stages.notify
import airflow.providers.slack.hooks.slack
print([name for name in {frames} if name in sys.modules])
"""
    assert output_of(code).splitlines()[-1] == "[]"


def test_the_dag_files_parse_in_under_a_second_and_load_no_pandas() -> None:
    code = """
import sys, time
sys.path[:0] = ["dags", "plugins"]
import airflow.sdk, airflow.providers.standard.operators.hitl, airflow.plugins_manager, airflow.timetables.base
began = time.process_time()
import alert_delivery, bank_reconciliation, daily_settlement
print(time.process_time() - began, "pandas" in sys.modules)
"""
    seconds, has_pandas = output_of(code).splitlines()[-1].split()
    assert has_pandas == "False"
    assert float(seconds) < 1.0


def output_of(code: str) -> str:
    """Return what a fresh interpreter prints, which has imported nothing yet."""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_every_file_below_plugins_is_a_plugin_that_airflow_can_load_by_its_name() -> None:
    for module in (PROJECT / "plugins").rglob("*.py"):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        bases = {ast.unparse(base) for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases}
        assert "AirflowPlugin" in bases, f"Airflow executes {module.name} as a plugin of its own"
        assert not any(isinstance(node, ast.ImportFrom) and node.level for node in tree.body), module
        assert module.stem not in sys.stdlib_module_names, f"{module.name} would take the standard library's place"


def test_money_that_crosses_a_stage_is_whole() -> None:
    specs = [value for value in vars(frames).values() if isinstance(value, frames.Spec)]
    assert specs
    for spec in specs:
        for column in spec.columns:
            assert "float" not in str(column.kind.value).lower(), (spec.name, column.name)
            if column.name.endswith(("amount", "principal", "_ppm")):
                assert str(column.kind.value) == "int64", (spec.name, column.name)


SHAPELESS = {
    "evidence",  # of a step or a break: another one for each cause, kept as JSON for people and for what they decide
    "conf",  # what somebody typed or sent to Airflow: `asked` is what gives it a shape, and refuses the rest
    "params",  # as conf
    "value",  # what XCom carried of a run, which its `from_json` gives its shape again
}
"""What has no shape where it crosses a port, and why."""


def shapeless(source: str) -> list[str]:
    """Return what the methods and fields of a port take or return as a dict of anything, as `name: type`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name="to_json"):
                continue  # what XCom carries of a run
            case ast.FunctionDef(name=name, returns=type_) if type_ is not None:
                found.append((name, ast.unparse(type_)))
            case ast.arg(arg=name, annotation=type_) | ast.AnnAssign(target=ast.Name(id=name), annotation=type_) if (
                type_
            ):
                found.append((name, ast.unparse(type_)))
    return [
        f"{name}: {type_}"
        for name, type_ in found
        if re.search(r"(?<!Series\[)\b(Any|object)\b", type_) and name not in SHAPELESS
    ]


def test_what_crosses_a_port_has_a_shape() -> None:
    example = "class Books:\n    def held(self, wanted: Mapping[str, Any]) -> list[dict[str, Any]]: ..."
    assert shapeless(example) == ["held: list[dict[str, Any]]", "wanted: Mapping[str, Any]"]
    found = {path.name: shapeless(path.read_text("utf-8")) for path in (PACKAGE / "ports").rglob("*.py")}
    assert {name: said for name, said in found.items() if said} == {}


STATES: Sequence[type[StrEnum]] = (
    AlertState,
    BreakState,
    DayState,
    FileState,
    LineState,
    MessageState,
    PayoutState,
    SubmissionOutcome,
)


NO_STATES = {
    "adapters/ledger/bank_lines/repository.py written_off",  # the rule of a match
    "adapters/ledger/inputs/repository.py settled",  # of a repayment, as `frames` names it
    "domain/computation/sequential.py settled",
    "domain/computation/arrivals.py refused",  # an outcome, as `frames` names it
    "domain/computation/encode.py new",  # a repayment, or a refund, that no run has seen
    "domain/computation/decode.py new",
    "adapters/slack/renderer.py received",  # a total
    "adapters/slack/renderer.py resolved",  # an event
}
"""Words that are a state elsewhere, and something else here."""


def spelled_states(source: str) -> list[tuple[int, str]]:
    """Return where a module compares with a state spelled as text, or matches one: (line, word)."""
    words = {state.value for states in STATES for state in states}
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare(comparators=compared):
                texts = [each for one in compared for each in ast.walk(one)]
            case ast.MatchValue(value=text):
                texts = [text]
            case ast.Call(func=ast.Attribute(attr="isin" | "eq" | "ne"), args=arguments):
                texts = [each for one in arguments for each in ast.walk(one)]
            case _:
                continue
        found += [(text.lineno, text.value) for text in texts if isinstance(text, ast.Constant) and text.value in words]
    return found


def test_no_state_is_spelled_as_text_outside_its_enum() -> None:
    example = 'paid = payouts["state"] == "booked"\nif state in ("open", PayoutState.PREPARED): ...\n'
    assert spelled_states(example) == [(1, "booked"), (2, "open")]
    found = [
        (f"{path.relative_to(PACKAGE).as_posix()} {word}", line)
        for path in MODULES
        for line, word in spelled_states(path.read_text("utf-8"))
    ]
    assert [(where, line) for where, line in found if where not in NO_STATES] == []
    assert {where for where, _ in found} == NO_STATES


def test_no_module_is_named_for_nothing() -> None:
    assert [
        path.name for path in MODULES if path.stem in ("utils", "util", "helpers", "common", "manager", "misc")
    ] == []


def test_nothing_is_put_off() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK|(?i:stub)|(?<!stands )(?i:for now))\b")
    folders = [PROJECT / "include", PROJECT / "dags", PROJECT / "plugins", PROJECT / "compose"]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".sql", ".toml", ".sh")]
    assert [
        f"{path.relative_to(PROJECT)}: {found[0]}" for path in files if (found := later.search(path.read_text("utf-8")))
    ] == []


LEDGER = PACKAGE / "adapters" / "ledger"
MOST_LINES_OF_SQL = 5


def long_texts(source: str) -> list[int]:
    """Return where strings begin that are longer than SQL may be in Python; what documents something is none."""
    lines, tree = source.splitlines(), ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return sorted(
        {
            node.lineno
            for node in ast.walk(tree)
            if (isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)))
            and id(node) not in said
            and sum(bool(line.strip(' "')) for line in lines[node.lineno - 1 : node.end_lineno]) > MOST_LINES_OF_SQL
        }
    )


def test_sql_of_more_than_a_few_lines_lies_beside_its_repository_and_begins_with_what_it_returns() -> None:
    written = [path for path in LEDGER.rglob("*") if "migrations" not in path.parts]
    torn = {path.relative_to(LEDGER).as_posix() for path in written
            if path.suffix == ".py" and long_texts(path.read_text("utf-8"))}  # fmt: skip
    assert torn == set()
    assert [path for path in written if path.suffix == ".sql" and not path.read_text("utf-8").startswith("-- ")] == []


def test_sql_of_six_lines_in_python_is_found_however_it_is_written() -> None:
    query = ["select a", "  from b", "  join c", "    on d", " where e", " order by f"]
    joined = "\n".join(f'    "{line} "' for line in query)
    for written, begins in {
        'rows = """\n' + "\n".join(query) + '\n"""\n': [1],
        "rows = text(\n" + joined + "\n)\n": [2],
        "rows = text(\n" + joined.replace('"  join c', 'f"  join {c}') + "\n)\n": [2],
        "rows = text(\n" + joined.partition('    "  join c')[0] + ")\n": [],
        '"""\n' + "\n".join(query) + '\n"""\n': [],
    }.items():
        assert long_texts(written) == begins, written


def test_no_type_is_ignored_without_a_reason() -> None:
    ignored = re.compile(r"#\s*type:\s*ignore(?!\[[\w, -]+\]  # \w+ \S)")
    assert [
        f"{path.relative_to(PROJECT)}:{number}: {line.strip()}"
        for folder in OURS
        for path in sorted((PROJECT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if ignored.search(line) and "re.compile" not in line
    ] == []


def test_what_a_function_raises_is_said_in_a_sentence() -> None:
    fields = re.compile(r"(?m)^ *:(raises?|param|returns?|type)\b")
    assert [
        str(path.relative_to(PROJECT))
        for folder in OURS
        for path in sorted((PROJECT / folder).rglob("*.py"))
        if fields.search(path.read_text("utf-8"))
    ] == []


def test_what_is_imported_is_declared_and_what_is_declared_for_types_or_tests_is_no_dependency_of_the_product() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    product = {name_of(needed) for needed in project["project"]["dependencies"]}
    lab = product | {name_of(needed) for needed in project["project"]["optional-dependencies"]["lab"]}
    dev = lab | {name_of(needed) for needed in project["dependency-groups"]["dev"]}
    own = {path.stem for folder in OURS for path in (PROJECT / folder).rglob("*.py")}
    own |= {"settlement", "settlement_lab", "benchmarks", "tests"}
    homes = importlib.metadata.packages_distributions()
    for folder, declared in {
        "include/settlement": product,
        "include/settlement_lab": lab,
        "dags": product,
        "plugins": product,
        "tests": dev,
        "benchmarks": dev,
    }.items():
        for module in (PROJECT / folder).rglob("*.py"):
            tops = {name.partition(".")[0] for name in imports_of(module)} - sys.stdlib_module_names - own
            assert {
                top
                for top in tops
                if not {re.sub(r"[-_.]+", "-", home).lower() for home in homes.get(top, ())} & declared
            } <= {"adbc_driver_manager"}, module  # which comes with every ADBC driver and is what drivers are used by


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_the_hooks_before_a_commit_are_what_make_check_runs() -> None:
    recipe = re.search(r"(?m)^check: .*\n((?:\t.*\n)+)", (PROJECT / "Makefile").read_text("utf-8"))
    assert recipe
    commands = [line.strip().replace("$(RUN)", ".venv/bin/") for line in recipe[1].splitlines()]
    (local,) = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == commands
    assert all(hook["language"] == "system" and hook["pass_filenames"] is False for hook in local["hooks"])


def test_the_catalogue_of_commands_has_every_command_and_no_other() -> None:
    command_line = typer.main.get_command(cli.app)
    assert isinstance(command_line, TyperGroup)
    commands = set(command_line.list_commands(typer.Context(command_line)))
    catalogue = (PROJECT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^\| `settlement ([a-z-]+)", catalogue)) == commands


def test_every_make_target_says_what_it_does() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"(?m)^\.PHONY: (.*)$", makefile)
    assert phony
    targets = set(phony[1].split())
    assert targets == set(re.findall(r"(?m)^([a-z-]+):.*## \S", makefile))
    assert {"demo", "up", "test", "test-slow", "check", "bench", "simulate", "clean"} <= targets


def test_what_ci_runs_of_the_slow_tests_is_there_and_slow() -> None:
    lines = (PROJECT / ".ci" / "slow-tests").read_text(encoding="utf-8").splitlines()
    listed = [line.split()[0].partition("::")[0] for line in lines if line.strip() and not line.startswith("#")]
    assert listed
    for name in listed:
        assert "pytest.mark.slow" in (PROJECT / name).read_text(encoding="utf-8"), name


def test_every_slow_file_says_its_minutes() -> None:
    for path in sorted((PROJECT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"(?m)^pytestmark.*\bslow\b", text):
            assert "minute" in (ast.get_docstring(ast.parse(text)) or ""), path


def test_the_versions_of_python_that_make_takes_are_those_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    low, high = re.findall(r"3\.\d+", project["requires-python"])
    low_minor, high_minor = (version.partition(".")[2] for version in (low, high))
    assert f"(3, {low_minor}) <= sys.version_info[:2] < (3, {high_minor})" in (PROJECT / "Makefile").read_text("utf-8")
