"""The page: what is on it, and which click does what. All it knows of karyotypes it asks a ``Session``."""

# No `from __future__ import annotations` here: Gradio reads the annotations of handlers, and imports happen in functions.

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import escaped
from gricol_zoo.serve import markup
from gricol_zoo.serve.details import Details, look_at
from gricol_zoo.serve.session import MAX_NAME, Session, Sessions

STYLE = Path(__file__).with_name("style.css")
MAX_WAITING = 60  # events of all tabs together
UNASSIGNED = "unassigned"
# One listener on the element that stays, for its content comes anew with each answer.
CLICKS = """
const choose = (event) => {
  const hit = event.target.closest('[data-id]');
  if (hit) { event.preventDefault(); trigger('click', {id: Number(hit.dataset.id)}); }
};
element.addEventListener('click', choose);
element.addEventListener('keydown', (event) => { if (event.key === 'Enter' || event.key === ' ') choose(event); });
"""


class Parts(NamedTuple):
    """The components of the page, top down."""

    files: Any
    model: Any
    run: Any
    status: Any
    cell: Any
    heading: Any
    karyogram: Any
    downloads: Any
    doubts: Any
    details: Any
    correction: Any
    label: Any
    by: Any
    move: Any
    turn: Any


def build_page(sessions: Sessions) -> Any:
    """Return the page as Gradio blocks, ready to launch.

    Raises:
        ModuleNotFoundError: gradio is not installed.
    """
    import gradio as gr

    with gr.Blocks(title="gricol_zoo", analytics_enabled=False, fill_width=True, delete_cache=(60, 600)) as page:
        parts = _lay(list(sessions.models))
        _connect(sessions, parts)
        page.unload(_ending(sessions))
    page.queue(api_open=False, max_size=MAX_WAITING)
    return page


def _lay(models: list[str]) -> Parts:
    import gradio as gr

    with gr.Row():
        with gr.Column(scale=3, min_width=265):
            gr.HTML(markup.TITLE)
            files = gr.File(label="Crops of a cell, or a zip", file_count="multiple", height=130, elem_id="files")
            model = gr.Dropdown(models, value=models[0], label="Model", elem_id="model")
            run = gr.Button("Classify", variant="primary", elem_id="run")
            status = gr.HTML()
            cell = gr.Dropdown([], label="Cell", visible=False, elem_id="cell")
            doubts = gr.HTML(js_on_load=CLICKS, elem_id="doubts")
        with gr.Column(scale=8, min_width=520):
            heading = gr.HTML(markup.heading(None))
            karyogram = gr.HTML(js_on_load=CLICKS, elem_id="karyogram")
            downloads = gr.HTML(js_on_load=None)
        with gr.Column(scale=3, min_width=290):
            details = gr.HTML(elem_id="details")
            with gr.Group(visible=False) as correction:
                label = gr.Dropdown([], label="Class", elem_id="label")
                by = gr.Textbox(label="Your initials", max_length=MAX_NAME, elem_id="by")
                with gr.Row():
                    move = gr.Button("Move", variant="primary", size="sm", elem_id="move", min_width=90)
                    turn = gr.Button("Turn over", size="sm", elem_id="turn", min_width=90)
    return Parts(
        files, model, run, status, cell, heading, karyogram, downloads, doubts, details, correction, label, by, move, turn
    )


def _connect(sessions: Sessions, parts: Parts) -> None:
    """Let each click change the tab's session, and then show it anew."""
    import gradio as gr

    shown = [parts.files, parts.status, parts.cell, parts.heading, parts.karyogram, parts.downloads, parts.doubts]
    shown += [parts.details, parts.correction, parts.label]

    def take(files: list[str], request: gr.Request) -> list[Any]:
        return _answer(sessions, request, lambda session: session.take([Path(file) for file in files or []]))

    def run(model: str, request: gr.Request) -> list[Any]:
        return _answer(sessions, request, lambda session: session.run(model))

    def choose_cell(cell: str, request: gr.Request) -> list[Any]:
        return _answer(sessions, request, lambda session: session.choose_cell(cell))

    def select(request: gr.Request, event: gr.EventData) -> list[Any]:
        def choose(session: Session) -> str:
            session.select(event.id)
            return ""

        return _answer(sessions, request, choose)

    def move(label: str, by: str, request: gr.Request) -> list[Any]:
        return _answer(sessions, request, lambda session: session.move("" if label == UNASSIGNED else label, by or ""))

    def turn(request: gr.Request) -> list[Any]:
        return _answer(sessions, request, lambda session: session.turn())

    # Private: no part of the page is an API. `minimal` would hide what is there while the answer is made.
    hidden = {"outputs": shown, "api_visibility": "private", "show_progress": "hidden"}
    parts.files.upload(take, parts.files, **hidden)
    parts.run.click(run, parts.model, **(hidden | {"show_progress": "minimal"}))
    parts.cell.input(choose_cell, parts.cell, **hidden)
    parts.karyogram.click(select, **hidden)
    parts.doubts.click(select, **hidden)
    parts.move.click(move, [parts.label, parts.by], **hidden)
    parts.turn.click(turn, **hidden)


def _answer(sessions: Sessions, request: Any, change: Callable[[Session], str]) -> list[Any]:
    """Change the tab's session, and return what it shows now; a mistake changes nothing and is said."""
    import gradio as gr

    try:
        session = sessions.get(str(request.session_hash))
    except GricolZooError as error:
        raise gr.Error(str(error)) from error
    with session.lock:
        try:
            line, bad = change(session), False
        except GricolZooError as error:
            line, bad = str(error), True
            gr.Warning(markup.text(line), duration=5)
        return show(session, line, bad)


def show(session: Session, line: str, bad: bool) -> list[Any]:
    """Return what every part that changes shows now, in the order of ``_connect``.

    The drop zone is emptied: what it held has been moved into the session, or refused.
    """
    import gradio as gr

    karyotype, cell = session.karyotype, session.cells.get(session.cell)
    names = list(session.upload.cells) if session.upload else []
    found, complaint = _details(session)
    label = karyotype.find(session.selected).assigned if karyotype and session.selected is not None else ""
    choices = [*karyotype.labels, UNASSIGNED] if karyotype else []
    return [
        gr.update(value=None),
        markup.status(complaint or line, bad or bool(complaint)),
        gr.update(choices=[(escaped(name), name) for name in names], value=session.cell or None, visible=len(names) > 1),
        markup.heading(karyotype),
        markup.karyogram(cell, session.selected) if cell else "",
        markup.downloads(cell),
        markup.doubts(karyotype, session.selected),
        markup.details(found, cell is not None),
        gr.update(visible=found is not None and not found.item.error),
        gr.update(choices=choices, value=label or (UNASSIGNED if choices else None)),
    ]


def _details(session: Session) -> tuple[Details | None, str]:
    """Return the chosen chromosome's details, and why they cannot be had."""
    if session.karyotype is None or session.selected is None:
        return None, ""
    try:
        return look_at(session.network, session.images, session.karyotype, session.selected), ""
    except GricolZooError as error:
        return None, str(error)


def _ending(sessions: Sessions) -> Callable[..., None]:
    import gradio as gr

    def end(request: gr.Request) -> None:
        sessions.end(str(request.session_hash))

    return end
