"""Slack messages as a person sees them: a page for the browser and text for the terminal.

In: messages as the Web API returns them. Both views show blocks when there are any, else the text, as Slack does.
Slack's text holds `&amp; &lt; &gt;` and its own marks (https://docs.slack.dev/messaging/formatting-message-text);
everything else in it is escaped, so no message can put markup of its own on the page.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape, unescape
from typing import Any

from rich.cells import cell_len

Message = dict[str, Any]
Block = dict[str, Any]
Conversation = Sequence[tuple[Message, Sequence[Message]]]

EMOJI = {
    "arrows_counterclockwise": "🔄",
    "bank": "🏦",
    "bell": "🔔",
    "calendar": "📅",
    "hourglass": "⏳",
    "hourglass_flowing_sand": "⏳",
    "information_source": "ℹ️",
    "large_blue_circle": "🔵",
    "large_green_circle": "🟢",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "lock": "🔒",
    "moneybag": "💰",
    "no_entry": "⛔",
    "red_circle": "🔴",
    "rotating_light": "🚨",
    "warning": "⚠️",
    "white_check_mark": "✅",
    "x": "❌",
}

STYLE = """
:root { color-scheme: light; font: 15px/1.46 Lato, "Noto Sans KR", "Apple SD Gothic Neo", system-ui, sans-serif; }
body { margin: 0; color: #1d1c1d; background: #fff; }
header.bar { background: #4a154b; color: #fff; padding: 10px 20px; font-weight: 700; }
main { max-width: 860px; margin: 0 auto; padding: 0 20px 60px; }
h1 { font-size: 18px; border-bottom: 1px solid #ddd; padding: 18px 0 10px; margin: 0; }
article { display: flex; gap: 10px; padding: 10px 8px; border-radius: 6px; }
article:hover, article:target { background: #f8f8f8; }
article .face { flex: none; width: 36px; height: 36px; border-radius: 6px; background: #0b7a75; color: #fff;
  font-weight: 700; display: grid; place-items: center; }
article > div { min-width: 0; flex: 1; }
.who b { margin-right: 6px; } .who small, .edited, .note { color: #616061; font-size: 12px; }
.thread { margin-left: 46px; border-left: 3px solid #e8e8e8; padding-left: 6px; }
.header { font-size: 18px; font-weight: 900; margin: 6px 0; }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: 4px 20px; margin: 4px 0; }
.context { color: #616061; font-size: 12.5px; margin: 4px 0; }
.context > * { margin-right: 10px; }
.section { margin: 4px 0; display: flex; justify-content: space-between; gap: 16px; }
hr { border: 0; border-top: 1px solid #ddd; }
table { border-collapse: collapse; margin: 8px 0; font-size: 13.5px; }
td { border: 1px solid #ddd; padding: 4px 10px; } tr:first-child td { font-weight: 700; background: #f8f8f8; }
pre { background: #f8f8f8; border: 1px solid #ddd; border-radius: 4px; padding: 8px; white-space: pre-wrap;
  margin: 4px 0; }
code { background: #f8f8f8; border: 1px solid #ddd; border-radius: 3px; padding: 1px 3px; color: #c01343;
  font-size: 12.5px; }
pre code { border: 0; color: inherit; }
blockquote { border-left: 4px solid #ddd; margin: 4px 0; padding-left: 12px; }
a { color: #1264a3; } a.button { border: 1px solid #bbb; border-radius: 4px; padding: 4px 12px; color: inherit;
  text-decoration: none; font-weight: 700; display: inline-block; margin: 4px 8px 4px 0; white-space: nowrap; }
a.button.primary { background: #007a5a; border-color: #007a5a; color: #fff; }
a.button.danger { color: #c01343; border-color: #c01343; }
.mention { background: #fdf3d1; color: #1264a3; padding: 0 2px; border-radius: 3px; }
.file { border: 1px solid #ddd; border-radius: 6px; padding: 8px 12px; display: inline-block; margin: 4px 0; }
"""


def page(channels: Mapping[str, Conversation]) -> str:
    """Return one self-contained HTML page with every channel, its messages and their threads."""
    sections = "".join(_channel_html(name, conversation) for name, conversation in channels.items())
    nothing = '<p class="note">Nothing was said yet.</p>' if not channels else ""
    return (
        '<!doctype html><html lang="ko"><head><meta charset="utf-8"><title>Slack on this machine</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f'<body><header class="bar">Settlement</header><main>{nothing}{sections}</main></body></html>'
    )


def render_text(conversation: Conversation) -> str:
    """Return a channel as text for a terminal: each message with its thread indented below it."""
    parts = []
    for root, replies in conversation:
        parts.append(_message_text(root))
        parts += [_indent(_message_text(reply), "    │ ") for reply in replies]
    return "\n\n".join(parts)


def _channel_html(name: str, conversation: Conversation) -> str:
    articles = []
    for root, replies in conversation:
        articles.append(_message_html(root))
        if replies:
            articles.append(f'<div class="thread">{"".join(map(_message_html, replies))}</div>')
    return f"<section><h1># {escape(name)}</h1>{''.join(articles)}</section>"


def _message_html(message: Message) -> str:
    body = "".join(map(_block_html, message.get("blocks") or [])) or _paragraphs(message.get("text", ""))
    files = "".join(
        f'<div class="file">📎 <a href="/files/{escape(file["id"])}">{escape(str(file["title"]))}</a></div>'
        for file in message.get("files") or []
    )
    edited = ' <span class="edited">(edited)</span>' if "edited" in message else ""
    broadcast = ' <span class="note">also sent to the channel</span>' if message.get("subtype") else ""
    return (
        f'<article id="p{message["ts"].replace(".", "")}"><span class="face">₩</span><div><div class="who">'
        f"<b>settlement</b><small>{_clock(message['ts'])}</small>{edited}{broadcast}</div>{body}{files}</div></article>"
    )


def _block_html(block: Block) -> str:
    match block.get("type"):
        case "header":
            return f'<div class="header">{_plain(block["text"]["text"])}</div>'
        case "section":
            text = f"<div>{_text_html(block['text'])}</div>" if "text" in block else ""
            fields = "".join(f"<div>{_text_html(field)}</div>" for field in block.get("fields", []))
            accessory = _element_html(block["accessory"]) if "accessory" in block else ""
            grid = f'<div class="fields">{fields}</div>' if fields else ""
            return f'<div class="section"><div>{text}{grid}</div>{accessory}</div>'
        case "context":
            return (
                f'<div class="context">{"".join(f"<span>{_element_html(e)}</span>" for e in block["elements"])}</div>'
            )
        case "actions":
            return f"<div>{''.join(map(_element_html, block['elements']))}</div>"
        case "divider":
            return "<hr>"
        case "table":
            rows = "".join(f"<tr>{''.join(_cells_html(block, row))}</tr>" for row in block["rows"])
            return f"<table>{rows}</table>"
        case "rich_text":
            return "".join(map(_rich_html, block["elements"]))
        case "markdown":
            return _paragraphs(block["text"])
        case "image":
            return f'<div class="note">🖼 {escape(block.get("alt_text", ""))}</div>'
    return ""


def _cells_html(block: Block, row: Sequence[Block]) -> list[str]:
    settings = block.get("column_settings") or []
    cells = []
    for column, cell in enumerate(row):
        align = (settings[column] or {}).get("align", "left") if column < len(settings) else "left"
        content = (
            "".join(map(_rich_html, cell["elements"])) if cell["type"] == "rich_text" else _plain(_cell_text(cell))
        )
        cells.append(f'<td style="text-align:{escape(align)}">{content}</td>')
    return cells


def _element_html(element: Block) -> str:
    match element.get("type"):
        case "button":
            style = escape(element.get("style", ""))
            return f'<a class="button {style}" {_href(element.get("url", ""))}>{_plain(element["text"]["text"])}</a>'
        case "image":
            return f"🖼 {escape(element.get('alt_text', ''))}"
    return _text_html(element)


def _rich_html(element: Block) -> str:
    match element.get("type"):
        case "rich_text_section":
            return f"<div>{''.join(map(_rich_html, element['elements']))}</div>"
        case "rich_text_list":
            items = "".join(f"<li>{_rich_html(item)}</li>" for item in element["elements"])
            return f"<ol>{items}</ol>" if element.get("style") == "ordered" else f"<ul>{items}</ul>"
        case "rich_text_preformatted":
            return f"<pre>{''.join(map(_rich_html, element['elements']))}</pre>"
        case "rich_text_quote":
            return f"<blockquote>{''.join(map(_rich_html, element['elements']))}</blockquote>"
        case "text":
            text = _plain(element["text"])
            for style, tag in (("bold", "b"), ("italic", "i"), ("strike", "s"), ("code", "code")):
                if element.get("style", {}).get(style):
                    text = f"<{tag}>{text}</{tag}>"
            return text
        case "link":
            return f"<a {_href(element['url'])}>{_plain(element.get('text') or element['url'])}</a>"
        case "emoji":
            return EMOJI.get(element["name"], f":{escape(element['name'])}:")
        case "user" | "channel" | "broadcast" | "usergroup" as kind:
            name = str(element.get("range") or element.get(f"{kind}_id"))
            return f'<span class="mention">@{escape(name)}</span>'
    return ""


def _text_html(text: Block) -> str:
    return _mrkdwn_html(text["text"]) if text["type"] == "mrkdwn" else _plain(text["text"])


def _plain(text: str) -> str:
    return _emoji(escape(unescape(text))).replace("\n", "<br>")


def _paragraphs(text: str) -> str:
    return f'<div class="section"><div>{_mrkdwn_html(text)}</div></div>' if text else ""


def _mrkdwn_html(text: str) -> str:
    """Return Slack's marked-up text as HTML: code first, for nothing inside it is marked up."""
    pieces = re.split(r"(```.*?```|`[^`\n]+`)", text, flags=re.DOTALL)
    return "".join(_code_html(piece) if number % 2 else _marks_html(piece) for number, piece in enumerate(pieces))


def _code_html(piece: str) -> str:
    if piece.startswith("```"):
        return f"<pre>{escape(unescape(piece[3:-3].strip(chr(10))))}</pre>"
    return f"<code>{escape(unescape(piece[1:-1]))}</code>"


def _marks_html(text: str) -> str:
    pieces = re.split(r"<([^<>\n]+)>", text)
    shown = []
    for number, piece in enumerate(pieces):
        shown.append(_reference(piece, _reference_html) if number % 2 else _emphasis(escape(unescape(piece))))
    lines = "".join(shown).split("\n")
    quoted = [f"<blockquote>{line[5:]}</blockquote>" if line.startswith("&gt; ") else f"{line}<br>" for line in lines]
    return "".join(quoted).removesuffix("<br>")


def _emphasis(text: str) -> str:
    for mark, tag in (("*", "b"), ("_", "i"), ("~", "s")):
        quoted = re.escape(mark)
        text = re.sub(
            rf"(?<![\w{quoted}]){quoted}(?=\S)([^{quoted}\n]+?)(?<=\S){quoted}(?!\w)", rf"<{tag}>\1</{tag}>", text
        )
    return _emoji(text)


def _reference(inside: str, show: Callable[[str, str], str]) -> str:
    """Show what stands in angle brackets: a link, a mention or a special word, with its label."""
    target, _, label = inside.partition("|")
    if target.startswith("!date^"):
        return show("", label or target)
    return show(target, label)


def _reference_html(target: str, label: str) -> str:
    if target[:1] in ("!", "@", "#"):
        sign = "#" if target.startswith("#") else "@"
        return f'<span class="mention">{sign}{escape(unescape(label or target[1:]))}</span>'
    if not target:
        return escape(unescape(label))
    return f"<a {_href(unescape(target))}>{_plain(label or target)}</a>"


def _href(url: str) -> str:
    """Return the link's attributes; only what a browser may safely follow becomes a link."""
    safe = re.match(r"(https?|mailto):", url) is not None
    return f'href="{escape(url)}" target="_blank" rel="noopener"' if safe else f'title="{escape(url)}"'


def _emoji(text: str) -> str:
    return re.sub(r":([a-z0-9_+-]+):", lambda found: EMOJI.get(found[1], found[0]), text)


def _clock(ts: str) -> str:
    return datetime.datetime.fromtimestamp(float(ts)).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _message_text(message: Message) -> str:
    blocks = [text for block in message.get("blocks") or [] if (text := _block_text(block))]
    body = "\n".join(blocks) or _mrkdwn_text(message.get("text", ""))
    files = "".join(f"\n📎 {file['title']}" for file in message.get("files") or [])
    edited = " (edited)" if "edited" in message else ""
    return f"settlement{edited}\n{_indent(body + files, '  ')}"


def _block_text(block: Block) -> str:
    match block.get("type"):
        case "header":
            return _emoji(unescape(block["text"]["text"]))
        case "section":
            parts = [_object_text(block["text"])] if "text" in block else []
            parts += [_object_text(field).replace("\n", ": ", 1) for field in block.get("fields", [])]
            return "\n".join(parts)
        case "context" | "actions":
            return "  ".join(_object_text(element) for element in block["elements"])
        case "divider":
            return "─" * 40
        case "table":
            return _table_text(block)
        case "rich_text":
            return "\n".join(map(_rich_text, block["elements"]))
        case "markdown":
            return str(block["text"])
        case "image":
            return f"🖼 {block.get('alt_text', '')}"
    return ""


def _object_text(element: Block) -> str:
    match element.get("type"):
        case "button":
            return f"[{_emoji(unescape(element['text']['text']))}]"
        case "image":
            return f"🖼 {element.get('alt_text', '')}"
        case "mrkdwn":
            return _mrkdwn_text(element["text"])
    return _emoji(unescape(element["text"]))


def _table_text(block: Block) -> str:
    rows = [[_cell_text(cell) for cell in row] for row in block["rows"]]
    settings = block.get("column_settings") or []
    widths = [max(cell_len(row[column]) for row in rows if column < len(row)) for column in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        cells = []
        for column, text in enumerate(row):
            pad = " " * (widths[column] - cell_len(text))
            right = column < len(settings) and (settings[column] or {}).get("align") == "right"
            cells.append(pad + text if right else text + pad)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cell_text(cell: Block) -> str:
    if cell["type"] == "rich_text":
        return " ".join(map(_rich_text, cell["elements"]))
    return _emoji(unescape(str(cell.get("text", cell.get("value", "")))))


def _rich_text(element: Block) -> str:
    match element.get("type"):
        case "text":
            return str(element["text"])
        case "link":
            return str(element.get("text") or element["url"])
        case "emoji":
            return EMOJI.get(element["name"], f":{element['name']}:")
        case "rich_text_list":
            return "\n".join(f"• {_rich_text(item)}" for item in element["elements"])
    return "".join(map(_rich_text, element.get("elements", [])))


def _mrkdwn_text(text: str) -> str:
    text = re.sub(r"<([^<>\n]+)>", lambda found: _reference(found[1], _reference_text), text)
    text = re.sub(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?!\w)", r"\1", text)
    return _emoji(unescape(text.replace("```", "")))


def _reference_text(target: str, label: str) -> str:
    if target[:1] in ("!", "@", "#"):
        return f"@{label or target[1:]}"
    return f"{label} ({target})" if label and target else label or target


def _indent(text: str, by: str) -> str:
    return "\n".join(by + line for line in text.splitlines())
