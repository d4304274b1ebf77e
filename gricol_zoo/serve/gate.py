"""A filter before Gradio: only requests of the page itself pass, and only up to limits of number and size.

Another page in the same browser may send requests to this machine. It cannot read the answers, but its uploads would be
stored, and its events would run. Gradio (6.31) checks neither, answers about fifty addresses, most of them not used here, and
looks up hosts that a request names.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gricol_zoo.files import on_another_machine
from gricol_zoo.serve.uploads import MAX_UPLOAD

API = "/gradio_api"
EXACT = frozenset(
    [
        *("/", "/config", "/favicon.ico", "/theme.css", f"{API}/theme.css", f"{API}/info", f"{API}/app_id", f"{API}/token"),
        *(f"{API}/startup-events", f"{API}/login_check", f"{API}/upload_progress", f"{API}/queue/data"),
    ]
)
"""Addresses that the page requests by GET."""
BEGIN = ("/assets/", "/static/", "/svelte/", f"{API}/heartbeat/")
POSTS = frozenset(f"{API}/{name}" for name in ("queue/join", "upload", "cancel", "reset"))
MAX_BODY = 1 << 20  # bytes of an event
MAX_TOTAL = 1 << 30  # bytes of all uploads together, including those in use
MAX_JOINS, SPAN = 300, 60.0  # events per SPAN seconds, of all tabs; a fast user makes one per second
SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class RefusedError(Exception):
    """A rejected request: its status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Gate:
    """ASGI middleware.

    Args:
        app: Gradio's ASGI application.
        place: folder of the uploads; everything in it counts.
    """

    def __init__(self, app: Any, place: Path) -> None:
        self.app, self.place = app, place
        self.joins: deque[float] = deque()
        self.coming = 0  # announced bytes of uploads that may not be stored yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why it is rejected."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            if scope["type"] != "http":
                raise RefusedError(404, "websockets are not supported")
            headers = {key.decode("latin1"): value.decode("latin1") for key, value in scope["headers"]}
            path = scope["path"].rstrip("/") or "/"
            check_place(scope["method"], path)
            check_origin(headers, scope["method"] in ("GET", "HEAD") and path == "/")
            coming = self._announced(headers) if path == f"{API}/upload" else 0
            if scope["method"] == "POST" and path != f"{API}/upload":
                receive = await self._read_event(receive, headers, path)
        except RefusedError as refused:
            await _answer(send, refused.status, str(refused))
            return
        self.coming += coming
        try:
            await self.app(scope, receive, _unframed(send))
        finally:
            self.coming -= coming

    def _announced(self, headers: MutableMapping[str, str]) -> int:
        """Return the bytes of an upload, which must fit in addition to those stored and those in progress."""
        length = headers.get("content-length", "")
        if not re.fullmatch("[0-9]{1,15}", length) or "transfer-encoding" in headers:  # the latter would override the length
            raise RefusedError(411, "an upload must say its length")
        if int(length) > MAX_UPLOAD + MAX_BODY:
            raise RefusedError(413, f"expected at most {MAX_UPLOAD // 2**20} MiB at once")
        if int(length) + self.coming + bytes_in(self.place) > MAX_TOTAL:
            raise RefusedError(413, f"the uploads together have more than {MAX_TOTAL // 2**20} MiB; close other tabs")
        return int(length)

    async def _read_event(self, receive: Receive, headers: MutableMapping[str, str], path: str) -> Receive:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RefusedError(400, "the request was interrupted")
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY:
                raise RefusedError(413, f"expected an event of at most {MAX_BODY} bytes")
        check_event(body, headers.get("host", ""), path.endswith("/join"))
        if path.endswith("/join"):
            self._count_join()
        sent = False

        async def again() -> MutableMapping[str, Any]:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again

    def _count_join(self) -> None:
        now = time.monotonic()
        while self.joins and now - self.joins[0] > SPAN:
            self.joins.popleft()
        if len(self.joins) >= MAX_JOINS:
            raise RefusedError(429, "too many events; wait a minute")
        self.joins.append(now)


def check_place(method: str, path: str) -> None:
    """Reject addresses that the page never requests."""
    known = path in POSTS if method == "POST" else method in ("GET", "HEAD") and (path in EXACT or path.startswith(BEGIN))
    if not known or ".." in path:
        raise RefusedError(404, "not found")


def check_origin(headers: MutableMapping[str, str], front: bool) -> None:
    """Reject requests of other pages; but a link to the front page works from anywhere, though not in a frame."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    opened = headers.get("sec-fetch-mode", "navigate") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
    if front and opened and origin is None:
        return
    if site not in (None, "same-origin", "none"):
        raise RefusedError(403, "only the page itself may ask for this")
    if origin is not None and origin != f"http://{headers.get('host', '')}":
        raise RefusedError(403, "only the page itself may ask for this")


def check_event(body: bytes, host: str, join: bool = True) -> None:
    """Reject an event that is not JSON, has no session, or names a file elsewhere, which would be looked up and fetched."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "expected JSON") from error
    if not isinstance(data, dict):
        raise RefusedError(400, "expected a mapping")
    if (join or "session_hash" in data) and not SESSION.fullmatch(str(data.get("session_hash", ""))):
        raise RefusedError(400, "expected a session_hash")
    for key, value in _items(data):
        if key in ("path", "url") and isinstance(value, str):
            try:
                parts = urlsplit(value.strip())
            except ValueError as error:
                raise RefusedError(400, "expected files that were uploaded here") from error
            if on_another_machine(value):
                raise RefusedError(400, "expected files that were uploaded here")
            ours = key == "url" and (parts.scheme, parts.netloc) == ("http", host)
            if not ours and (parts.netloc or (parts.scheme and not re.match(r"[A-Za-z]:[\\/]", value))):
                raise RefusedError(400, "expected files that were uploaded here")
        if key in ("proxy_url", "root_url"):
            raise RefusedError(400, f"{key} is not used here")


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value at any depth; without recursion, because the sender chose the depth."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from item.items()
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def bytes_in(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.lstat().st_size
        except OSError:
            continue  # it was just deleted
    return total


def _unframed(send: Send) -> Send:
    """Return a ``send`` that keeps other pages from showing this one in a frame and capturing clicks in it."""

    async def answer(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"x-frame-options", b"DENY")]}
        await send(message)

    return answer


async def _answer(send: Send, status: int, why: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"gricol-zoo: {why}\n".encode()})
