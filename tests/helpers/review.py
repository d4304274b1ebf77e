"""What the page asks of a session for the selected chromosome."""

from gricol_zoo.karyotype.review import Move, Turn
from gricol_zoo.serve.saving import KINDS, file_of


def move(session, label, by=""):
    """Give the selected chromosome another class, "" for none; return a line that says what was done."""
    return session.do(Move(session.selected, label), by)


def turn(session):
    """Turn the selected chromosome upside down; return a line that says what was done."""
    return session.do(Turn(session.selected))


def files_of(cell):
    """Return a cell's files: CSV, JSON, PNG and SVG."""
    return [file_of(cell, kind) for kind in KINDS]
