"""The sessions of a server, one a browser tab: found again when the tab is loaded anew, ended when it is closed."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, deque
from pathlib import Path

from gricol_zoo.errors import GricolZooError
from gricol_zoo.serve.offered import Offered
from gricol_zoo.serve.session import Session

MAX_SESSIONS = 30  # tabs that are remembered; the longest unused goes first
GRACE = 60.0  # seconds that a closed tab's session waits for it to be loaded again
TOKEN = re.compile(r"[0-9a-f]{32}")


class Sessions:
    """The sessions of a server.

    A page has a name of Gradio's, another one each time that it is loaded. The tab keeps a token of its own for as long as it
    is open, and a page that says its tab's token goes on with its session.

    Args:
        root: where their folders are made.
        models: by name.
        key: file of the private key that signs checked cells; None where there is none.
    """

    def __init__(self, root: Path, models: Offered, key: Path | None = None) -> None:
        self.root, self.models, self.key = root, models, key
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._tabs: dict[str, str] = {}  # the token by the page
        self._ended: deque[str] = deque(maxlen=1000)  # an event that comes late makes no session that nobody would end

    def __len__(self) -> int:
        return len(self._open)

    def get(self, page: str) -> Session:
        """Return a page's session, a new one if it has none; the longest unused is ended where there are too many.

        Raises:
            GricolZooError: the page was closed.
        """
        with self._lock:
            if page in self._ended:
                raise GricolZooError("This page lost its connection. Load it again: what was done is kept for a moment.")
            key = self._tabs.get(page, page)
            if key not in self._open:
                self._open[key] = Session(self.root, self.models, self.key)
            self._open.move_to_end(key)
            while len(self._open) > MAX_SESSIONS:
                self._open.popitem(last=False)[1].end()
            return self._open[key]

    def bind(self, page: str, token: str) -> None:
        """Say which tab a page is of.

        Raises:
            GricolZooError: a token that no page makes.
        """
        if not TOKEN.fullmatch(token):
            raise GricolZooError("Expected the token of a tab. Load the page again.")
        with self._lock:
            if page in self._tabs or page in self._ended:
                return
            self._tabs[page] = token
            if page in self._open:  # something was dropped before the page had said it
                self._open.setdefault(token, self._open.pop(page))

    def leave(self, page: str) -> None:
        """Note that a page is gone; its session ends a moment later, if the tab is not loaded again until then."""
        with self._lock:
            key = self._tabs.pop(page, page)
            self._ended.append(page)
        timer = threading.Timer(GRACE, self._end_if_left, [key])
        timer.daemon = True
        timer.start()

    def _end_if_left(self, key: str) -> None:
        if key not in self._tabs.values():
            self.end(key)

    def end(self, key: str) -> None:
        """End a tab's or a page's session, if it has one."""
        with self._lock:
            session = self._open.pop(key, None)
            self._ended.append(key)
        if session:
            session.end()
