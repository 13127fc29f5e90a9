"""How a company's own references are written: as its source does, and as those do who pay.

What is declared is a text with `{number}` in it, such as "Invoice #{number}". In what a line says, leading zeros,
capitals and the signs between words do not matter; a text that is nothing but `{number}` must be all that a field says.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_PLACE = re.compile(r"\{number(?::[^}]*)?\}")
_WORD = re.compile(r"[^\W_]+")
_NUMBER = r"0*([0-9]{1,35})"
_SIGNS = r"[\W_]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """One kind of our references: `ours` as the source writes it, with its zeros, such as "INV-{number:06}"."""

    ours: str
    written: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "patterns", tuple(_pattern(text) for text in (self.ours, *self.written)))

    def read(self, text: str) -> list[str]:
        """Return the references of this kind that a text says, as the source writes them."""
        return [self.ours.format(number=int(said)) for pattern in self.patterns for said in pattern.findall(text)]


def read(spellings: Sequence[Spelling], texts: Sequence[str | None]) -> list[str]:
    """Return the references that the texts of a line say, as the source writes them, each once."""
    found = [one for text in texts if text for spelling in spellings for one in spelling.read(text)]
    return list(dict.fromkeys(found))


def _pattern(text: str) -> re.Pattern[str]:
    before, after = (_SIGNS.join(map(re.escape, _WORD.findall(part))) for part in _PLACE.split(text, maxsplit=1))
    if not before and not after:
        return re.compile(rf"\A{_SIGNS}{_NUMBER}{_SIGNS}\Z")
    between = r"[\W_]+" if before[-1:].isdigit() else _SIGNS
    words = f"{before}{between}" * bool(before) + _NUMBER + f"{_SIGNS}{after}" * bool(after)
    return re.compile(rf"(?<![^\W_]){words}(?![^\W_])", re.IGNORECASE)


def shape(text: str) -> str:
    """Return how a text is written and nothing of what it says: a letter is A, a digit 9, as in "AAA-999999".

    Runs longer than twelve are cut there.
    """
    letters = re.sub(r"[^\W\d_]", "A", text)
    return re.sub(r"A{12,}", "A" * 12, re.sub(r"9{12,}", "9" * 12, re.sub(r"\d", "9", letters)))
