"""Slack messages as a page for the browser, made from `templates/page.html`.

The template escapes whatever it is given, so no message can put markup of its own on the page. What Slack marks up in
its text (https://docs.slack.dev/messaging/formatting-message-text) becomes markup here, piece by piece, out of escaped
pieces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from html import unescape

import jinja2
from markupsafe import Markup, escape

from settlement_lab.slack import view

SAFE_LINK = re.compile(r"(https?|mailto):")
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
REFERENCE = re.compile(r"<([^<>\n]+)>")
EMPHASIS = tuple(
    (re.compile(rf"(?<![\w{mark}]){mark}(?=\S)([^{mark}\n]+?)(?<=\S){mark}(?!\w)"), rf"<{tag}>\1</{tag}>")
    for mark, tag in ((r"\*", "b"), ("_", "i"), ("~", "s"))
)


def render(channels: Mapping[str, view.Conversation]) -> str:
    """Return one self-contained page with every channel, its messages and their threads."""
    return _template().render(channels=channels)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("settlement_lab.slack"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"plain": plain, "mrkdwn": mrkdwn, "clock": clock, "safe_link": SAFE_LINK.match}
    environment.globals["EMOJI"] = view.EMOJI
    return environment.get_template("page.html")


def clock(ts: str) -> str:
    """Return the local time of a message."""
    return datetime.fromtimestamp(float(ts)).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def plain(text: str) -> Markup:
    """Return a text without marks, with its emoji and its line breaks."""
    return Markup("<br>").join(view.emoji(unescape(text)).split("\n"))


def mrkdwn(text: str) -> Markup:
    """Return Slack's marked-up text: code first, for nothing inside it is marked up."""
    pieces = CODE.split(text)
    return Markup("").join(_code(piece) if number % 2 else _marks(piece) for number, piece in enumerate(pieces))


def _code(piece: str) -> Markup:
    if piece.startswith("```"):
        return Markup("<pre>{}</pre>").format(unescape(piece[3:-3].strip("\n")))
    return Markup("<code>{}</code>").format(unescape(piece[1:-1]))


def _marks(text: str) -> Markup:
    pieces = REFERENCE.split(text)
    shown = Markup("").join(
        Markup(view.reference(piece, _reference)) if number % 2 else _emphasis(unescape(piece))  # noqa: S704
        for number, piece in enumerate(pieces)
    )
    lines = [
        Markup("<blockquote>{}</blockquote>").format(Markup(line[5:]))  # noqa: S704
        if line.startswith("&gt; ")
        else Markup(line) + Markup("<br>")  # noqa: S704
        for line in str(shown).split("\n")
    ]
    return Markup("").join(lines).removesuffix("<br>")


def _emphasis(text: str) -> Markup:
    escaped = str(escape(text))
    for pattern, shown in EMPHASIS:
        escaped = pattern.sub(shown, escaped)
    return Markup(view.emoji(escaped))  # noqa: S704 - the tags are ours, all else is escaped


def _reference(target: str, label: str) -> Markup:
    if target[:1] in ("!", "@", "#"):
        sign = "#" if target.startswith("#") else "@"
        return Markup('<span class="mention">{}{}</span>').format(sign, unescape(label or target[1:]))
    if not target:
        return escape(unescape(label))
    url = unescape(target)
    link = '<a href="{}" target="_blank" rel="noopener">{}</a>' if SAFE_LINK.match(url) else '<a title="{}">{}</a>'
    return Markup(link).format(url, plain(label or target))  # noqa: S704 - one of two texts of ours
