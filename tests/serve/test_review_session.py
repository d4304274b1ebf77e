"""The review of a cell in a tab, without a browser and without a model: actions, pictures, stale windows, signatures."""

import io
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from gricol_zoo import GricolZooError
from gricol_zoo.data.store import Store
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import SignatureError
from gricol_zoo.karyotype.document import Chromosome, Karyotype, signature_file, to_sign
from gricol_zoo.karyotype.review import Review
from gricol_zoo.serve import board, page, saving
from gricol_zoo.serve.cell import Cell
from gricol_zoo.serve.model_pool import ModelPool
from gricol_zoo.serve.session import Session
from gricol_zoo.serve.sessions import Sessions
from gricol_zoo.serve.uploads import Upload
from gricol_zoo.weights.ed25519 import check, make_keys, read_signature


def filled(session, folder):
    """Give a session a cell of four chromosomes, of which no. 3 is in doubt."""
    items = [
        Chromosome(1, "1.png", "00", {"1": 1.0}, "1", "1", "1", 0.999),
        Chromosome(2, "2.png", "00", {"2": 1.0}, "2", "2", "2", 0.999),
    ]
    items += [Chromosome(3, "3.png", "00", {"1": 1.0}, "1", "1", "1", 0.6), Chromosome(4, "4.png", "", error="damaged")]
    for item in items:
        (folder / item.path).write_bytes(b"x")
    store = Store(folder, [item.path for item in items])
    pictures = {id: np.arange(40 * 12, dtype=np.uint8).reshape(40, 12) for id in (1, 2, 3)}
    session.cells["c"] = Cell(Review(Karyotype("c", items, ["1", "2", "X", "Y"])), pictures, "")
    session.upload = Upload("c.zip", {"c": ImageSet("c", [Record(item.path) for item in items], store)})
    session.cell = "c"
    return session


@pytest.fixture
def tab(tmp_path):
    (tmp_path / "crops").mkdir()
    (tmp_path / "sessions").mkdir()
    return filled(Session(tmp_path / "sessions", ModelPool({"x": None})), tmp_path / "crops")


def told(what, **more):
    return {"what": what, "id": None, "other": None, "label": None, **more}


def test_what_the_page_sends_is_done(tab):
    before = tab.cells["c"].pictures[1].copy()
    for message, line in (
        (told("move", id=1, label="X"), "No. 1 moved: 1 to X."),
        (told("swap", id=1, other=2), "No. 1 and no. 2 swapped: X and 2."),
        (told("turn", id=1), "No. 1 turned upside down."),
        (told("confirm", id=3), "No. 3 confirmed as 1."),
        (told("check"), "Checked by AB."),
        (told("undo"), "Undone: Checked by AB."),
        (told("undo"), "Undone: No. 3 confirmed as 1."),
        (told("undo"), "Undone: No. 1 turned upside down."),
        (told("redo"), "Redone: No. 1 turned upside down."),
    ):
        assert page.act(tab, message["what"], message, "AB") == line
    np.testing.assert_array_equal(tab.cells["c"].pictures[1], before[::-1, ::-1])
    assert tab.by == "AB"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (told("move", id="1", label="X"), "No chromosome is selected"),
        (told("turn", id=True), "No chromosome is selected"),
        (told("swap", id=1, other=99), "Expected a chromosome"),
        (told("explode", id=1), "Expected an action of the page"),
        (told("move", id=1, label="<b>"), "Expected a class"),
        (told("check"), "1 chromosome is still in doubt"),
    ],
)
def test_what_no_page_sends_changes_nothing(tab, message, words):
    state = tab.karyotype
    with pytest.raises(GricolZooError, match=words):
        page.act(tab, message["what"], message, "AB")
    assert tab.karyotype is state


def test_the_board_has_a_button_a_place_and_an_order(tab):
    page.act(tab, "confirm", told("confirm", id=3), "")
    drawn = board.karyogram(tab.cells["c"], 1)
    assert drawn.count('class="hit') == 4
    assert [drawn.index(f'data-id="{id}"') for id in (1, 3, 2, 4)] == sorted(
        drawn.index(f'data-id="{id}"') for id in (1, 2, 3, 4)
    )
    for label in ("1", "2", "X", "Y", ""):
        assert f'class="place" data-label="{label}"' in drawn
    assert drawn.count("\N{CHECK MARK}") == 1


def test_a_window_that_is_behind_is_told(tmp_path):
    (tmp_path / "crops").mkdir()
    sessions, token = Sessions(tmp_path / "crops", ModelPool({"x": None})), "ab" * 16
    one, two = (SimpleNamespace(session_hash=name) for name in "ab")
    for window in (one, two):
        sessions.bind(window.session_hash, token)
    tab = filled(sessions.get("a"), tmp_path)
    assert sessions.get("b") is tab
    message = {**told("turn", id=1), "token": token, "kind": None}
    page._review(sessions, one, {**message, "version": 0}, "")
    page._review(sessions, one, {**message, "version": 0}, "")  # two quick keys of one window
    assert len(tab.karyotype.edits) == 2
    answer = dict(zip(page.SHOWN, page._review(sessions, two, {**message, "version": 0}, ""), strict=True))
    assert "changed in another window" in answer["status"]
    assert 'class="board"' in answer["karyogram"]
    assert len(tab.karyotype.edits) == 2


def test_the_first_answer_leaves_the_drop_zone_alone(tmp_path):
    """Otherwise, files dropped before the answer arrives would be removed again."""
    gr = pytest.importorskip("gradio")
    sessions = Sessions(tmp_path, ModelPool({"x": None}))
    answer = page._review(sessions, SimpleNamespace(session_hash="a"), {**told("hello"), "token": "ab" * 16}, "")
    assert dict(zip(page.SHOWN, answer, strict=True))["files"] == gr.skip()


def test_a_checked_cell_is_signed_where_there_is_a_key(tab, tmp_path):
    pytest.importorskip("cryptography")
    public = make_keys(tmp_path / "my.key")
    tab.key = tmp_path / "my.key"
    page.act(tab, "confirm", told("confirm", id=3), "AB")
    assert "Signed by the key" in tab.check("AB")
    with zipfile.ZipFile(io.BytesIO(saving.save_all(tab).data)) as archive:
        archive.extractall(tmp_path / "out")
    record = tmp_path / "out" / "karyotype.json"
    assert check("karyotype", to_sign(record), read_signature(signature_file(record)), public)
    record.write_bytes(record.read_bytes().replace(b'"by": "AB"', b'"by": "AC"', 1))
    with pytest.raises(SignatureError):
        check("karyotype", to_sign(record), read_signature(signature_file(record)), public)
    tab.undo("AB")
    assert tab.cells["c"].signature is None  # a signature is only for the checked state
