"""Takes out of free text what must not leave the house.

Method: control characters go, then patterns are masked from the most to the least specific: credentials, resident
registration numbers, e-mail addresses, long digit runs (account, card and telephone numbers; the last four digits
stay, dates and times stay). Known limit: a person's name has no pattern, so free text never carries one on purpose.
"""

import re

KEPT_CHARACTERS = 300
SCANNED_CHARACTERS = 4_000
MASK = "***"

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_CREDENTIALS = [
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,30}://)[^\s/@]*@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)hooks\.slack\.com/\S+"), f"hooks.slack.com/{MASK}"),
    (re.compile(r"(?i)\bxox[a-z]-[\w.-]+|\bxapp-[\w.-]+|\bxwfp-[\w.-]+"), MASK),
    (re.compile(r"\beyJ[\w-]{5,}(\.[\w-]*){0,2}"), MASK),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b|\bgh[a-z]_\w{20,}\b|\bsk[-_]\w{16,}"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {MASK}"),
    (
        re.compile(
            r"(?i)((?:password|passwd|pwd|secret|token|api[_-]?key|authorization|credential|비밀번호)[\w.-]{0,40}[\"']?\s{0,5}[=:]\s{0,5})"
            r"(\"[^\"]*\"?|'[^']*'?|[^\s,;&)}\]]+)"
        ),
        rf"\1{MASK}",
    ),
]
_RESIDENT_NUMBER = re.compile(r"(?<!\d)\d{6}[-\s]?[1-8]\d{6}(?!\d)")
_EMAIL = re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63}){1,8}")
_LONG_SECRET = re.compile(r"(?<![\w/+=-])(?=[\w/+=-]*\d)(?=[\w/+=-]*[A-Za-z])[\w/+=-]{40,}")
_DATE = re.compile(r"(?:19|20)\d\d-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])(?!\d)")
_DIGITS = re.compile(r"(?<!\d)\d(?:[-\s]?\d){6,}(?!\d)")


def free_text(text: str, *, keep: int = KEPT_CHARACTERS) -> str:
    """Return at most `keep` characters of the text that are safe to show outside.

    Only the beginning of a long text is looked at, cut back to a word so that no half of a secret escapes the patterns.
    """
    scanned = text[:SCANNED_CHARACTERS]
    if len(text) > SCANNED_CHARACTERS:
        scanned = scanned[: max(scanned.rfind(" "), scanned.rfind("\n"), 0)] or scanned[:keep]
    return shorten(digits(credentials(scanned)), keep)


def credentials(text: str) -> str:
    """Return the text without passwords, tokens, resident numbers and e-mail addresses; our own ids stay readable."""
    text = _CONTROL.sub("", text)
    for pattern, replacement in _CREDENTIALS:
        text = pattern.sub(replacement, text)
    return _EMAIL.sub(MASK, _RESIDENT_NUMBER.sub(MASK, text))


def digits(text: str) -> str:
    """Return the text with runs of seven digits and more masked to their last four; dates stay, long secrets go."""
    pieces, end = [], 0
    for kept in _DATE.finditer(text):
        pieces += [_mask_runs(text[end : kept.start()]), kept.group()]
        end = kept.end()
    return "".join([*pieces, _mask_runs(text[end:])])


def shorten(text: str, length: int) -> str:
    """Return the text, or as much of it as fits with an ellipsis at its end."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _mask_runs(text: str) -> str:
    text = _LONG_SECRET.sub("…", text)
    return _DIGITS.sub(lambda run: f"{MASK}-{re.sub(r'[^0-9]', '', run.group())[-4:]}", text)
