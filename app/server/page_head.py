"""The head of the page's HTML: our title, icon and link preview in place of Gradio's, and faces before any script runs.

The head of Gradio's template has Gradio's name, picture and address. This middleware replaces it in the answer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

from gradio.route_utils import get_root_url
from starlette.datastructures import MutableHeaders, QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.card import CARD_SIZE
from app.server.icons import DARK, LIGHT
from app.server.links import KINDS, Link, read_link
from app.server.words import DESCRIPTION, NAME, TITLE
from ganime.errors import RecipeError

CARD_PATH = "ganime/card.jpg"
GRADIO_TAGS = re.compile(r'\s*<meta\s+(?:property="og:|name="twitter:)[^>]*>|\s*<link rel="manifest"[^>]*>')
STYLESHEET = re.compile(r'<link rel="stylesheet"( crossorigin)? href="([^">]+)">')
# A browser paints nothing, not even the first faces, before it has the style sheets of the head. For one that is meant
# for paper it does not wait.
LATER = r'<link rel="preload" as="style"\1 href="\2">'
LATER += r'<link rel="stylesheet"\1 href="\2" media="print" onload="this.media = &quot;all&quot;">'
BODY = re.compile(r"<body[^>]*>")


class PageHead:
    """Middleware that rewrites the HTML of the page.

    scripts: HTML for the head that loads the page's own JavaScript.
    first_faces: HTML for the body that shows faces until the page is there; see first_faces.py.
    """

    def __init__(self, app: ASGIApp, scripts: str = "", first_faces: str = "") -> None:
        self.app, self.scripts, self.first_faces = app, scripts, first_faces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].strip("/"):
            await self.app(scope, receive, send)
            return
        start: Message | None = None  # held back until the whole body is there
        body = bytearray()

        async def send_rewritten(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and is_page(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    html = self.rewritten(body.decode(), Request(scope)).encode()
                    headers = MutableHeaders(scope=start)
                    headers["Content-Length"] = str(len(html))
                    headers["Cache-Control"] = "no-cache"  # it names the present version of every script
                    await send(start)
                    await send({"type": "http.response.body", "body": html})

        await self.app(scope, receive, send_rewritten)

    def rewritten(self, html: str, request: Request) -> str:
        """Gradio's HTML with our head and the first faces."""
        head, script, rest = html.partition("<script")
        head = GRADIO_TAGS.sub("", head) + head_html(request) + self.scripts
        before, end, body = (script + rest).partition("</head>")
        before = STYLESHEET.sub(LATER, GRADIO_TAGS.sub("", before))
        faces = "" if names_faces(request.query_params) else self.first_faces
        return head + before + end + BODY.sub(lambda tag: tag[0] + faces, body, count=1)


def is_page(start: Message) -> bool:
    """Whether the answer that begins with this message is the page."""
    headers = MutableHeaders(scope=start)
    return start["status"] == 200 and headers.get("content-type", "").startswith("text/html")


def names_faces(query: QueryParams) -> bool:
    """Whether the address names a face, a tray or a film, which the page shows instead of the first faces."""
    return any(query.get(kind) for kind in KINDS)


def head_html(request: Request) -> str:
    """The tags that describe the page, or what the address names, to browsers, search engines and messengers."""
    link = link_of(request.query_params)
    root = root_of(request)
    query = f"?{urlencode({link.kind: link.text})}" if link else ""
    address, card = f"{root}/{query}", f"{root}/{CARD_PATH}{query}"
    title = f"{link.title} · {NAME}" if link else TITLE
    width, height = CARD_SIZE
    picture = f"{link.title}, drawn by {NAME}" if link else f"Anime faces, drawn by {NAME}"
    description = link.caption if link else DESCRIPTION
    metas = [
        ("name", "description", description),
        ("property", "og:type", "website"),
        ("property", "og:site_name", NAME),
        ("property", "og:title", title),
        ("property", "og:description", description),
        ("property", "og:url", address),
        ("property", "og:image", card),
        ("property", "og:image:type", "image/jpeg"),
        ("property", "og:image:width", str(width)),
        ("property", "og:image:height", str(height)),
        ("property", "og:image:alt", picture),
        ("name", "twitter:card", "summary_large_image"),
        ("name", "twitter:title", title),
        ("name", "twitter:description", description),
        ("name", "twitter:image", card),
    ]
    return f"\n{tags(title, metas)}\n"


def tags(title: str, metas: Sequence[tuple[str, str, str]]) -> str:
    """The title, descriptions, colours and icons of a page. metas: (kind of the name, name, content) of each."""
    lines = [f"<title>{escape(title)}</title>"]
    lines += [f'<meta {kind}="{name}" content="{escape(content)}">' for kind, name, content in metas]
    for scheme, colour in (("light", LIGHT), ("dark", DARK)):
        lines.append(f'<meta name="theme-color" media="(prefers-color-scheme: {scheme})" content="{colour}">')
    lines += [
        '<link rel="icon" href="favicon.ico" sizes="48x48">',
        '<link rel="apple-touch-icon" href="ganime/icon-180.png">',
        '<link rel="manifest" href="manifest.json">',
    ]
    return "\n".join(lines)


def link_of(query: QueryParams) -> Link | None:
    """What the address names; None if it names nothing that can be read, which the page then says."""
    try:
        return read_link(query)
    except RecipeError:
        return None


def root_of(request: Request) -> str:
    """The public address of the page, without a slash at its end, as Gradio determines it behind proxies."""
    return get_root_url(request, "/", os.environ.get("GRADIO_ROOT_PATH") or request.scope.get("root_path"))
