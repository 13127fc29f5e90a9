"""The doctor: what is wired wrong, and what to do about it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import typer
from rich.cells import cell_len

from settlement.cli import output
from settlement.cli.options import Json, Lang

ROOM = "doctor"


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(doctor)


def doctor(json: Json = False, lang: Lang = None) -> None:
    """Look at every connection, role, table, policy and folder, and at Airflow. Exit status 1: there is a failure."""
    from settlement import wiring
    from settlement.stages import doctor as stage

    out = output.answer(json=json, lang=lang)
    words = output.catalogue(out.language, ROOM)
    marks: Mapping[str, str] = words["levels"]
    width = max(cell_len(mark) for mark in marks.values())
    done = []
    with wiring.patient() as patient:
        for examined in stage.examine(patient):
            said = [_said(words, finding) for finding in examined.findings]
            done.append({"check": examined.check, "level": examined.level.value, "findings": said})
            if not json:
                lines = [] if examined.level is stage.Level.OK else [words["checks"][examined.check]]
                for one in said:
                    lines += [one["found"], *([f"→ {one['do']}"] if one["do"] else [])]
                out.marked(marks[examined.level], *lines, width=width)
    if not out.data(done):
        counts = Counter(row["level"] for row in done)
        out.line("")
        out.say("examined", checks=len(done), **{level.value: counts[level.value] for level in stage.Level})
    failed = any(row["level"] == stage.Level.FAILURE.value for row in done)
    raise typer.Exit(1 if failed else 0)


def _said(words: Mapping[str, Any], finding: Any) -> dict[str, Any]:
    """Return a finding as data, with its sentence and what to do, in the words of a language."""
    values = {name: output.written(value) for name, value in finding.values.items()}
    if finding.code == "ground_missing":
        title = words["checks"][finding.values["ground"]]
        values["title"] = title[0].lower() + title[1:] if title.startswith("The ") else title
    return {
        "level": finding.level.value,
        "code": finding.code,
        "values": dict(finding.values),
        "found": words["found"][finding.code].format(**values),
        "do": words["do"].get(finding.code, "").format(**values),
    }
