"""Checks of a server's answers: the client makes paths from some headers, so each of these must be a plain hash.

huggingface_hub (2.4) joins the ETag, the commit and the xet hash to the cache folder unchecked. A server behind HF_ENDPOINT
that answers ``ETag: ../../x`` would write outside the cache, and no hash would be compared.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from gricol_zoo.errors import HubError

COMMIT = re.compile("[0-9a-f]{40}")
ETAG = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
XET = re.compile("[0-9a-f]{64}")
WHAT = {COMMIT: "a commit of 40 hex digits", ETAG: "an ETag of 40 or 64 hex digits", XET: "an xet hash of 64 hex digits"}
WAITS = ("Retry-After", "RateLimit")
"""Headers in which a server says how long to wait. The client might sleep for days while it holds the cache's lock, and could
not be stopped; without these headers it waits a few seconds."""
_checking: ContextVar[bool] = ContextVar("checking", default=False)


@contextlib.contextmanager
def checked_headers() -> Iterator[None]:
    """Reject, within this context only, answers from which the client would make a path outside its cache.

    Raises:
        HubError: such an answer; the message says what was expected and what came.
    """
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http

    make = _http._GLOBAL_CLIENT_FACTORY  # the client calls it again by itself after some errors
    if not isinstance(make, _Factory):
        set_client_factory(_Factory(make))
    token = _checking.set(True)
    try:
        yield
    finally:
        _checking.reset(token)


class _Factory:
    """Makes the client's sessions with another factory, and checks every answer."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __call__(self) -> Any:
        session = self.make()
        session.event_hooks["response"].append(_look)
        return session


def check_header(value: str, pattern: re.Pattern[str], where: str) -> None:
    """Reject a header value that is not a plain hash.

    Raises:
        HubError: not such a hash; the message says what was expected and what came.
    """
    if not pattern.fullmatch(value):
        raise HubError(f"Expected {WHAT[pattern]} in the answer for {where}, but got {value!r:.80}. Check HF_ENDPOINT.")


def _look(response: Any) -> None:
    """Check an answer's headers before the client reads them."""
    if not _checking.get():
        return
    headers, where = response.headers, response.request.url.path
    for name in WAITS:
        headers.pop(name, None)
    for name, pattern in (("X-Repo-Commit", COMMIT), ("X-Xet-Hash", XET)):
        if name in headers:
            check_header(headers[name], pattern, where)
    # The client does not use the ETag of an error, of a redirect that it follows, or of a body from elsewhere. It follows
    # addresses within the Hub only; it takes a 304, a 300 or an address such as "ftp:x" for the answer.
    place = urlsplit(headers.get("Location", ""))
    followed = response.has_redirect_location and not (place.scheme or place.netloc)
    if response.request.method == "HEAD" and response.status_code < 400 and not followed:
        etag = headers.get("X-Linked-Etag") or headers.get("ETag")
        if etag is not None:
            check_header(etag.removeprefix("W/").strip('"'), ETAG, where)
