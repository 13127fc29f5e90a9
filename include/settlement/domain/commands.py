"""The commands that a text tells people to type: in backticks, beginning with the name of the program."""

PROGRAM = "settlement"


def typed_as(text: str, program: str) -> str:
    """Return the text with its commands as people have to type them, as `docker compose exec watch settlement …`."""
    return text.replace(f"`{PROGRAM} ", f"`{program} ")
