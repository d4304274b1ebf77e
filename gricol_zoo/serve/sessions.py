"""The sessions of a server, one per browser tab: found again when the tab is reloaded, ended when it is closed."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, deque
from pathlib import Path

from gricol_zoo.errors import GricolZooError
from gricol_zoo.serve.model_pool import ModelPool
from gricol_zoo.serve.session import Session

MAX_SESSIONS = 30  # tabs that are remembered; the one unused for longest is dropped first
GRACE = 60.0  # seconds that a closed tab's session waits for the tab to be reloaded
TOKEN = re.compile(r"[0-9a-f]{32}")


class Sessions:
    """The sessions of a server.

    Gradio gives a page a new name each time that it is loaded. The tab keeps its own token as long as it is open, and a page
    that sends its tab's token continues with its session.

    Args:
        root: folder in which the sessions' folders are created.
        models: models by name.
        key: file of the private key that signs checked cells; None for no signatures.
    """

    def __init__(self, root: Path, models: ModelPool, key: Path | None = None) -> None:
        self.root, self.models, self.key = root, models, key
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._tabs: dict[str, str] = {}  # page -> token
        self._ended: deque[str] = deque(maxlen=1000)  # so that a late event does not create a session that nothing would end

    def __len__(self) -> int:
        return len(self._open)

    def get(self, page: str) -> Session:
        """Return a page's session, or a new one; if there are too many, the one unused for longest is ended.

        Raises:
            GricolZooError: the page was closed.
        """
        with self._lock:
            if page in self._ended:
                raise GricolZooError("This page lost its connection. Reload it: your work is kept for a minute.")
            key = self._tabs.get(page, page)
            if key not in self._open:
                self._open[key] = Session(self.root, self.models, self.key)
            self._open.move_to_end(key)
            while len(self._open) > MAX_SESSIONS:
                self._open.popitem(last=False)[1].end()
            return self._open[key]

    def bind(self, page: str, token: str) -> None:
        """Record which tab a page belongs to.

        Raises:
            GricolZooError: not a valid token.
        """
        if not TOKEN.fullmatch(token):
            raise GricolZooError("Expected the token of a tab. Load the page again.")
        with self._lock:
            if page in self._tabs or page in self._ended:
                return
            self._tabs[page] = token
            if page in self._open:  # something was dropped before the page had sent its token
                self._open.setdefault(token, self._open.pop(page))

    def leave(self, page: str) -> None:
        """Record that a page is gone; its session ends after ``GRACE`` seconds unless the tab is reloaded by then."""
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
