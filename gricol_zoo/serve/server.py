"""The page's server: on loopback only; it sends nothing anywhere and leaves no files behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gricol_zoo.errors import GricolZooError
from gricol_zoo.serve.gate import Gate
from gricol_zoo.serve.model_pool import ModelPool
from gricol_zoo.serve.page import STYLE, build_page
from gricol_zoo.serve.place import SESSIONS, UPLOADS, own_place
from gricol_zoo.serve.sessions import Sessions
from gricol_zoo.serve.signed import check_key
from gricol_zoo.serve.uploads import MAX_UPLOAD

HOST = "127.0.0.1"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "GRADIO_SHARE": "False",
    "GRADIO_MCP_SERVER": "False",
    "GRADIO_ALLOWED_PATHS": "",
    "GRADIO_ROOT_PATH": "",
}
"""Variables that are set before gradio is imported; they override those of the shell."""


def serve(models: ModelPool, port: int = 7860, open_browser: bool = False, key: Path | None = None) -> None:
    """Serve the page until interrupted (SIGINT or SIGTERM); then delete every file that was uploaded.

    A server that is killed cannot do that; the next one deletes its files.

    Args:
        models: models with weights, by name.
        port: port on 127.0.0.1; 0 takes a free one.
        open_browser: open the page in the default browser.
        key: file of a private key that signs checked cells.

    Raises:
        SignatureError: not a private key.
        GricolZooError: the port is in use or not permitted.
        ModuleNotFoundError: gradio is not installed.
    """
    port = find_port(port)
    if key is not None:
        print(f"Checked cells are signed by the key {check_key(key)}.", file=sys.stderr)
    with own_place() as place:
        # Gradio imports matplotlib if it is installed, which would write a list of fonts into the home folder.
        os.environ.update(ENVIRONMENT, GRADIO_TEMP_DIR=str(place / UPLOADS), MPLCONFIGDIR=str(place))
        with without_proxies():
            page = build_page(Sessions(place / SESSIONS, models, key))
        if models.runtime != "torch":
            print(f"Preparing {len(models)} models; the first time it takes minutes.", file=sys.stderr, flush=True)
        models.prepare()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # otherwise the files would stay after the server ends
        try:
            with without_proxies():
                url = launch(page, port, place)
            print(f"Serving on {url} (this machine only). Stop with Ctrl-C.", file=sys.stderr, flush=True)
            if open_browser:
                webbrowser.open(url)
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
        finally:
            page.close(verbose=False)


@contextlib.contextmanager
def without_proxies() -> Iterator[None]:
    """Remove proxies from the environment: gradio requests its own page on loopback, which no proxy reaches."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.lower() in PROXIES}
    try:
        yield
    finally:
        os.environ.update(kept)


def find_port(port: int) -> int:
    """Return the port if it is free; for 0, return a free one.

    Raises:
        GricolZooError: it is in use or not permitted.
    """
    with socket.socket() as probe:
        # As the server does: a port whose last connections have just been closed counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise GricolZooError(
                f"Port {port} cannot be used ({error}). Choose another with --port, or 0 for a free one."
            ) from error
        return int(probe.getsockname()[1])


def launch(page: Any, port: int, place: Path) -> str:
    """Start the server in the background; return the page's address.

    Raises:
        GricolZooError: the port was taken in the meantime.
    """
    import gradio as gr
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    # Another site may point its own host name at 127.0.0.1; only requests with this machine's names are answered.
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]), Middleware(Gate, place=place)]
    # Other themes load their fonts from the internet.
    plain = gr.themes.Base(primary_hue="blue", neutral_hue="slate", font=["system-ui"], font_mono=["ui-monospace"])
    try:
        page.launch(
            server_name=HOST,
            server_port=port,
            share=False,
            prevent_thread_lock=True,
            quiet=True,
            footer_links=[],
            # Otherwise the browser would keep every answer, with its pictures, after the tab is closed.
            run_history=False,
            max_file_size=MAX_UPLOAD,
            enable_monitoring=False,
            ssr_mode=False,
            mcp_server=False,
            allowed_paths=[],
            app_kwargs={"middleware": guards},
            theme=plain,
            css=STYLE.read_text(encoding="utf-8"),
        )
    except OSError as error:
        raise GricolZooError(
            f"Port {port} cannot be used ({error}). Choose another with --port, or 0 for a free one."
        ) from error
    return f"http://{HOST}:{port}/"
