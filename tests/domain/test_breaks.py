"""Every cause of a break, who has to act, and what ends it: one table, and the same in the documentation."""

from __future__ import annotations

from pathlib import Path

from settlement.domain.breaks import POSTS, SIDES, WAYS, Way
from settlement.stages import compute, extract, prove

DOCUMENT = Path(__file__).parents[2] / "docs" / "reconciliation.md"
COMMANDS = {
    Way.MATCH: "`match`",
    Way.BOOK: "`book`",
    Way.WRITE_OFF: "`write-off`",
    Way.ABSENT: "`absent`",
    Way.ANSWER: "`answer`",
    Way.MEND: "mend the source",
    Way.RUN: "run the date",
}


def table() -> str:
    """The tables of the documentation, as the code says them."""
    rows = [
        f"| `{cause}` | {kind} | {SIDES[cause]} | {', '.join(COMMANDS[way] for way in ways)} |"
        for (cause, kind), ways in WAYS.items()
    ]
    posts = [f"| {COMMANDS[way]} | {POSTS[way]} |" for way in Way]
    head = ["| cause | of a | to act | what ends it |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, "", "| way | posts |", "|---|---|", *posts])


def test_every_cause_has_a_way_out() -> None:
    assert {cause for cause, _ in WAYS} == set(SIDES)
    assert {*compute.CAUSES, *prove.CAUSES, *extract.CAUSES} == set(SIDES)
    assert all(WAYS.values())
    assert set(POSTS) == set(Way)


def test_the_documentation_says_what_the_code_does() -> None:
    assert table() in DOCUMENT.read_text(encoding="utf-8")
