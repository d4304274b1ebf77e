"""The page: its components, and what each action does. Everything about karyotypes comes from a ``Session``."""

# No `from __future__ import annotations` here: Gradio reads the annotations of handlers, and imports happen in functions.

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import escaped
from gricol_zoo.karyotype.bands import with_band
from gricol_zoo.karyotype.review import Confirm, Move, Swap, Turn
from gricol_zoo.serve import board, markup
from gricol_zoo.serve.case import overview, report_of_case
from gricol_zoo.serve.details import Details, look_at
from gricol_zoo.serve.saving import file_of, save_all
from gricol_zoo.serve.session import BY_FIT, MAX_NAME, Session
from gricol_zoo.serve.sessions import Sessions

STYLE, HANDS = (Path(__file__).with_name(name) for name in ("style.css", "review.js"))
MAX_WAITING = 60  # events of all tabs together
# The page follows a link as soon as it arrives, which starts the download.
FOLLOW = "watch('value', () => element.querySelector('a')?.click());"
Do = Callable[[Session], str]


class Parts(NamedTuple):
    """The components of the page, top down."""

    files: Any
    model: Any
    run: Any
    status: Any
    cell: Any
    doubts: Any
    heading: Any
    tools: Any
    karyogram: Any
    details: Any
    by: Any
    check: Any
    file: Any


SHOWN = ("files", "model", "status", "cell", "doubts", "heading", "tools", "karyogram", "details", "by", "check", "file")
"""The parts that an answer may change, in the order of the outputs."""


def build_page(sessions: Sessions) -> Any:
    """Return the page as Gradio blocks, ready to launch.

    Raises:
        ModuleNotFoundError: gradio is not installed.
    """
    import gradio as gr

    with gr.Blocks(title="gricol_zoo", analytics_enabled=False, fill_width=True, delete_cache=(60, 600)) as page:
        parts = _lay(list(sessions.models))
        _connect(sessions, parts)
        page.unload(_leaving(sessions))
    page.queue(api_open=False, max_size=MAX_WAITING)
    return page


def _lay(models: list[str]) -> Parts:
    import gradio as gr

    choices = [(BY_FIT, BY_FIT), *((escaped(with_band(name)), name) for name in models)]
    with gr.Row(elem_id="desk"):
        with gr.Column(scale=2, min_width=215, elem_id="left"):
            gr.HTML(markup.TITLE)
            files = gr.File(label="Crops of a cell, or a zip", file_count="multiple", height=110, elem_id="files")
            model = gr.Dropdown(choices, value=BY_FIT, label="Model", elem_id="model")
            run = gr.Button("Classify", variant="primary", elem_id="run")
            status = gr.HTML(elem_id="said")
            cell = gr.Dropdown([], label="Cell", visible=False, elem_id="cell")
            doubts = gr.HTML(elem_id="doubts", js_on_load=None)
        with gr.Column(scale=9, min_width=600, elem_id="middle"):
            heading = gr.HTML(markup.heading(None), elem_id="heading")
            tools = gr.HTML(elem_id="tools", js_on_load=None)
            karyogram = gr.HTML(js_on_load=HANDS.read_text(encoding="utf-8"), elem_id="karyogram")
        with gr.Column(scale=2, min_width=265, elem_id="right"):
            details = gr.HTML(elem_id="details", js_on_load=None)
            by = gr.Textbox(label="Your initials", max_length=MAX_NAME, elem_id="by", max_lines=1)
            check = gr.HTML(elem_id="check", js_on_load=None)
            file = gr.HTML(elem_id="file", js_on_load=FOLLOW)
    return Parts(files, model, run, status, cell, doubts, heading, tools, karyogram, details, by, check, file)


def _connect(sessions: Sessions, parts: Parts) -> None:
    """Connect each event to a change of the tab's session, and then show the changed parts."""
    import gradio as gr

    def take(files: list[str], request: gr.Request) -> list[Any]:
        return _answer(sessions, request, lambda session: session.take([Path(file) for file in files or []]))

    def run(model: str, request: gr.Request) -> list[Any]:
        return _answer(sessions, request, lambda session: session.run(model))

    def choose_cell(cell: str, request: gr.Request) -> list[Any]:
        return _answer(sessions, request, lambda session: session.choose_cell(cell))

    def review(by: str, request: gr.Request, event: gr.EventData) -> list[Any]:
        told = {name: getattr(event, name, None) for name in ("what", "id", "other", "label", "kind", "token", "version")}
        return _review(sessions, request, told, by or "")

    # Private: no part of the page is an API. `minimal` would hide the current content while the answer is prepared.
    shown = [getattr(parts, name) for name in SHOWN]
    hidden = {"outputs": shown, "api_visibility": "private", "show_progress": "hidden"}
    parts.files.upload(take, parts.files, **hidden)
    parts.run.click(run, parts.model, **(hidden | {"show_progress": "minimal"}))
    parts.cell.input(choose_cell, parts.cell, **hidden)
    # One after the other, and none is skipped: a quick user does the next thing before the last is answered.
    parts.karyogram.review(review, parts.by, trigger_mode="multiple", **hidden)


def _review(sessions: Sessions, request: Any, told: Mapping[str, Any], by: str) -> list[Any]:
    """Carry out an action that ``review.js`` sends, and show what it changes."""
    what, page = str(told["what"]), str(request.session_hash)
    if what == "hello":
        # Not the drop zone: files that are dropped before this answer arrives would be removed from it.
        return _answer(sessions, request, lambda _: "", SHOWN[1:-1], token=str(told["token"]))
    if what == "select":
        return _answer(sessions, request, lambda session: _select(session, told), ("details",))
    if what == "file":
        return _answer(sessions, request, lambda _: "", ("file",), kind=str(told["kind"]))
    if what == "save":
        return _answer(sessions, request, lambda _: "", ("file", "tools", "status"), kind="zip")
    if what == "report":
        return _answer(sessions, request, lambda _: "", ("file", "tools", "status"), kind="report")
    if what in ("cells", "open"):
        label = str(told["label"])
        go = Session.show_all if what == "cells" else partial(Session.choose_cell, cell=label)
        return _answer(sessions, request, go, tuple(name for name in SHOWN if name not in ("files", "model", "by", "file")))

    def change(session: Session) -> str:
        if told["version"] != session.version and session.changed_by != page:
            raise GricolZooError("This cell was changed in another window of the page. It is shown as it is now; try again.")
        return act(session, what, told, by)

    # The drop zone and typed text stay as they are.
    return _answer(
        sessions, request, change, tuple(name for name in SHOWN if name not in ("files", "model", "cell", "by", "file"))
    )


def act(session: Session, what: str, told: Mapping[str, Any], by: str) -> str:
    """Carry out an action of the page on a session; return one line that says what was done.

    Raises:
        GricolZooError: an unknown action, or one that is not possible now.
    """
    if what in ("undo", "redo", "check"):
        return {"undo": session.undo, "redo": session.redo, "check": session.check}[what](by)
    _select(session, told)
    id = session.selected or 0
    if what == "move":
        return session.do(Move(id, str(told["label"] or "")), by)
    if what == "swap":
        return session.do(Swap(id, _number(told["other"])), by)
    if what in ("turn", "confirm"):
        return session.do(Turn(id) if what == "turn" else Confirm(id), by)
    raise GricolZooError(f"Expected an action of the page, but got {what!r:.40}.")


def _select(session: Session, told: Mapping[str, Any]) -> str:
    session.select(_number(told["id"]))
    return ""


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise GricolZooError("No chromosome is selected. Click one in the karyogram first.")
    return value


def _answer(
    sessions: Sessions, request: Any, change: Do, parts: tuple[str, ...] = SHOWN[:-1], token: str = "", kind: str = ""
) -> list[Any]:
    """Change the tab's session, and return the new content of the parts; an error changes nothing and is shown.

    Args:
        sessions: the server's sessions.
        request: Gradio's request, which names the page.
        change: function that changes the session.
        parts: the parts that may change; the others stay.
        token: the tab's token, if the page sends it.
        kind: kind of the requested file: "zip" for all of the work, "report" for the case; "" for none.
    """
    import gradio as gr

    page = str(request.session_hash)
    try:
        if token:
            sessions.bind(page, token)
        session = sessions.get(page)
    except GricolZooError as error:
        raise gr.Error(str(error)) from error
    with session.lock:
        before, line, bad, link = session.version, "", False, ""
        try:
            line = change(session)
            link, line = _file(session, kind) if kind else ("", line)
            if "heading" in parts and not token:
                session.version, session.changed_by = before + 1, page
        except GricolZooError as error:
            line, bad = str(error), True
            parts = (*parts, "status")
            gr.Warning(markup.text(line), duration=5)
        new = show(session, line, bad, parts) | ({"file": link} if link else {})
    return [new.get(name, gr.skip()) for name in SHOWN]


def _file(session: Session, kind: str) -> tuple[str, str]:
    if kind == "report":
        file = report_of_case(session)
        return board.file_link(file), f"{file.name}: table, overview and report of all cells."
    if kind == "zip":
        file = save_all(session)
        return board.file_link(file), f"Saved as {file.name}: drop it here to continue."
    if session.cell not in session.cells:
        raise GricolZooError("There is no karyotype yet. Drop a cell's crops, or a zip, and run a model first.")
    return board.file_link(file_of(session.cells[session.cell], kind)), ""


def show(session: Session, line: str, bad: bool, parts: tuple[str, ...] = SHOWN[:-1]) -> dict[str, Any]:
    """Return the new content of parts of the page, by name.

    The drop zone is emptied: its files have been moved into the session, or rejected.
    """
    import gradio as gr

    karyotype, cell = session.karyotype, session.cells.get(session.cell)
    names = list(session.upload.cells) if session.upload else []
    found, complaint = _details(session) if "details" in parts else (None, "")
    makers: dict[str, Callable[[], Any]] = {
        "files": lambda: gr.update(value=None),
        "model": lambda: gr.update(value=session.model),
        "status": lambda: markup.status(line if bad else complaint or line, bad or bool(complaint)),
        "cell": lambda: gr.update(
            choices=[(escaped(name), name) for name in names], value=session.cell or None, visible=len(names) > 1
        ),
        "doubts": lambda: markup.doubts(karyotype, session.selected),
        "heading": lambda: markup.together(len(session.cells)) if session.together else markup.heading(karyotype),
        "tools": lambda: board.tools(session),
        "karyogram": lambda: overview(session) if session.together else board.karyogram(cell, session.selected) if cell else "",
        "details": lambda: markup.details(found, karyotype is not None),
        "by": lambda: gr.update(value=session.by) if session.by else gr.skip(),
        "check": lambda: board.check_button(session),
    }
    return {name: make() for name, make in makers.items() if name in parts}


def _details(session: Session) -> tuple[Details | None, str]:
    """Return the selected chromosome's details (None if there are none), and why they are not available."""
    if session.karyotype is None or session.selected is None:
        return None, ""
    try:
        return look_at(session.network, session.images, session.karyotype, session.selected), ""
    except GricolZooError as error:
        return None, str(error)


def _leaving(sessions: Sessions) -> Callable[..., None]:
    import gradio as gr

    def leave(request: gr.Request) -> None:
        sessions.leave(str(request.session_hash))

    return leave
