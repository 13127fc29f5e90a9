"""What every command understands in the same way: its language, JSON, dates, and who does something and why."""

import getpass
from datetime import date
from enum import StrEnum
from typing import Annotated

import typer


class Language(StrEnum):
    """The language of text."""

    KO = "ko"
    EN = "en"


def parse_date(text: str) -> date:
    """Return the date that somebody typed.

    Raises typer.BadParameter: it is none; exit status 2.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"[{text}] is not a date; write it as 2026-02-16") from None


def parse_month(text: str) -> date:
    """Return the first date of the month that somebody typed.

    Raises typer.BadParameter: it is none; exit status 2.
    """
    try:
        if len(text) != len("2026-02"):
            raise ValueError
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise typer.BadParameter(f"[{text}] is not a month; write it as 2026-02") from None


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Lang = Annotated[Language | None, typer.Option("--lang", help="Language of the text; the policy's by default.")]
Day = Annotated[
    date, typer.Argument(metavar="DATE", parser=parse_date, help="A settlement date, YYYY-MM-DD.", show_default=False)
]
NewestDay = Annotated[
    date | None,
    typer.Argument(metavar="[DATE]", parser=parse_date, help="A settlement date, YYYY-MM-DD; the newest by default."),
]
Month = Annotated[
    date, typer.Argument(metavar="MONTH", parser=parse_month, help="A month, YYYY-MM.", show_default=False)
]
By = Annotated[str, typer.Option("--by", help="Who does this; the login by default.", default_factory=getpass.getuser)]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept for good.")]
