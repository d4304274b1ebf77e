"""File helpers: atomic writing; reading of text, tables and JSON that people may have edited; hashes."""

from __future__ import annotations

import base64
import codecs
import csv
import hashlib
import io
import json
import os
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gricol_zoo.errors import ConfigError, GricolZooError

MAX_JSON = 1 << 28  # most bytes of a JSON file; parsed, it takes about ten times as much memory
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",  # begins as UTF-16 does, so it comes first
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF8: "utf-8",
}
WORKBOOK_STARTS = (b"PK\3\4", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods; .xls
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
FORMULA = re.compile(r"'*[=+\-@]")  # what a spreadsheet would take for a formula, with or without the quotes of ``guard``

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def write_atomically(file: Path, data: bytes) -> None:
    """Write a file atomically: even after a crash or on a full disk there is the old file or the new one, never a part.

    A symbolic link is kept and its target is written. A pipe or a device, such as /dev/stdout, is written to, never replaced.

    Raises:
        OSError: the file could not be written (the error names it); the previous file is unchanged.
    """
    if file.exists() and not file.is_file() and not file.is_dir():
        with file.open("wb") as stream:
            stream.write(data)
        return
    target = Path(os.path.realpath(file))
    short = f"{target.name[:40]}.{zlib.crc32(os.fsencode(target.name)):08x}"  # with more, a long name would become too long
    temporary = target.with_name(f".{short}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, f"{error.strerror}; the previous file is unchanged", str(file)) from error


class Row(NamedTuple):
    """One row of a table: the line of the file that it ends on, and its text by column."""

    line: int
    values: dict[str, str]


class Table(NamedTuple):
    """A table as a person or a spreadsheet saves it: the names of its columns, and its rows except blank ones."""

    columns: list[str]
    rows: list[Row]


def decode_text(data: bytes, where: str) -> str:
    """Return the text of a file: UTF-8 or UTF-16, with a byte order mark or without one.

    Args:
        data: the whole file.
        where: what to call it in messages.

    Raises:
        GricolZooError: another encoding.
    """
    if data.startswith(WORKBOOK_STARTS):
        raise GricolZooError(f"{where} is a workbook or an archive, whatever it is called. Save the sheet as CSV UTF-8.")
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "")
    if not encoding:
        zeros = [data[start:400:2].count(0) for start in (0, 1)]  # in UTF-16, every second byte of Latin text is 0
        encoding = "utf-8" if zeros[0] == zeros[1] else "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    try:
        return data.decode(encoding).replace("\ufeff", "")
    except UnicodeDecodeError as error:
        raise GricolZooError(
            f"{where} is not UTF-8 or UTF-16 text: {error}. Save it as UTF-8 (in Excel: CSV UTF-8)."
        ) from error


def read_table(data: bytes, where: str, needed: Sequence[str] = (), known: Sequence[str] = ()) -> Table:
    """Read a CSV, however a spreadsheet or a person saved it.

    The delimiter is comma, semicolon, tab or bar, whichever finds the most of these columns; a `sep=` line may set it. Any
    line ending is accepted. The case of needed and known columns is ignored. Spaces around names and values are removed, as
    are blank rows and the quote that ``guard`` adds.

    Args:
        data: the whole file.
        where: what to call it in messages.
        needed: columns that the table must have.
        known: other columns that it may have.

    Raises:
        GricolZooError: not text, a needed column missing, a column twice, or a row with more values than there are columns.
    """
    whole = decode_text(data, where).replace("\r\n", "\n").replace("\r", "\n")
    said = re.match(r'\s*"?sep=([^"\n])"?[^\n]*\n', whole, re.IGNORECASE)
    text = re.sub(r'\A([ \t,;|"]*\n)+', "", whole[said.end() if said else 0 :])
    above = whole.count("\n") - text.count("\n")  # lines before the header
    names = {name.casefold(): name for name in (*needed, *known)}
    try:
        delimiter = said[1] if said else _delimiter(text.partition("\n")[0], names)
        reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=delimiter != " ")
        columns = [names.get(name.strip().casefold(), name.strip()) for name in next(reader, [])]
        while columns and not columns[-1]:
            columns.pop()
        _check_columns(columns, needed, where)  # first, because with a title above the header no row fits
        rows = [Row(above + reader.line_num, _values(columns, cells, where, above + reader.line_num)) for cells in reader]
    except csv.Error as error:
        raise GricolZooError(f"{where} is not a valid CSV: {error}.") from error
    return Table(columns, [row for row in rows if any(row.values.values())])


def _check_columns(columns: Sequence[str], needed: Sequence[str], where: str) -> None:
    for name in needed:
        if name not in columns:
            found = ", ".join(columns)[:300] or "none"
            raise GricolZooError(f"{where} has no column {name!r}. Columns found: {found}. Expected {','.join(needed)}.")
    for name, count in Counter(columns).items():
        if count > 1:
            what = f"the column {name!r} twice" if name else "two columns without a name"
            raise GricolZooError(f"{where} has {what}. Rename or remove one of them.")


def _delimiter(header: str, names: Mapping[str, str]) -> str:
    def columns(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
        return sum(cell.strip().casefold() in names for cell in cells), len(cells)

    return max(DELIMITERS, key=columns)


def _values(columns: Sequence[str], cells: Sequence[str], where: str, line: int) -> dict[str, str]:
    values = [unguard(cell.strip()) for cell in cells]
    if any(values[len(columns) :]):
        raise GricolZooError(
            f"{where}, line {line}: {len(values)} values for {len(columns)} columns. Name every column, and put text with a "
            "delimiter in it in quotes."
        )
    return dict(zip(columns, values + [""] * len(columns), strict=False))


def guard(text: str) -> str:
    """Return text for a cell of a CSV file: text that a spreadsheet would take for a formula gets a leading quote.

    >>> guard("=1+1"), guard("-0.5"), unguard(guard("=1+1"))
    ("'=1+1", '-0.5', '=1+1')
    """
    if not FORMULA.match(text):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def unguard(text: str) -> str:
    """Return the text of a cell without the quote that ``guard`` adds."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def same_name(text: str) -> str:
    r"""Return a name normalised for comparison: composed Unicode (NFC); bytes that are not UTF-8 as \udcXX."""
    return unicodedata.normalize("NFC", escaped(text))


def read_json(file: Path, what: str, maximum: int = MAX_JSON) -> Any:
    """Read a JSON file, which a person may have edited.

    Args:
        file: as ``decode_text`` reads it.
        what: what a file of this kind is called, with its article.
        maximum: the most bytes that such a file may have.

    Raises:
        ConfigError: too large, not JSON, or a key occurs twice.
        OSError: the file cannot be read.
    """
    size = file.stat().st_size
    if size > maximum:
        raise ConfigError(f"Expected {what} of at most {maximum} bytes, but {file} has {size}.")
    return parse_json(file.read_bytes(), str(file))


def parse_json(data: bytes, where: str) -> Any:
    """Read the bytes of a JSON file, which a person may have edited.

    Args:
        data: the whole file, as ``decode_text`` reads it.
        where: what to call it in messages.

    Raises:
        ConfigError: not JSON, or a key occurs twice.
    """
    try:
        return json.loads(decode_text(data, where), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        reason = error.__cause__ or error
        raise ConfigError(f"{where} is not valid JSON: {reason} (a manual edit may have dropped a comma or quote).") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:100]!r} occurs twice")
    return values


def write_json(file: Path, data: Any, sort_keys: bool = False) -> None:
    """Write data as a JSON file, atomically; errors as for ``write_atomically``."""
    write_atomically(file, (json.dumps(data, indent=2, sort_keys=sort_keys) + "\n").encode())


def what_differs(found: Any, wanted: Mapping[str, Any]) -> str:
    """Name the first difference between data read from JSON and the wanted data ("its recipe is lr 0.1, not 0.2"), or ""."""
    for key, value in json.loads(json.dumps(wanted)).items():
        there = found.get(key) if isinstance(found, dict) else None
        if there != value:
            return f"its {key} is {_difference(there, value)}"
    return ""


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in wanted:
            if found.get(key) != wanted[key]:
                return f"{key} {_difference(found.get(key), wanted[key])}"
    return f"{found!r}, not {wanted!r}"


def escaped(text: str) -> str:
    r"""Return text that is safe to print: characters that control a terminal or the reading direction are escaped, as \x1b.

    Line ends and bytes of file names that are not UTF-8 (\udcXX) are escaped too, so a name is one line and can be encoded.
    """
    if text.isascii() and text.isprintable():
        return text
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def on_another_machine(path: str) -> bool:
    r"""Return whether a path names another machine, as \\server\share does on Windows: opening it sends the user's name."""
    return bool(re.match(r"\s*[\\/]{2}", path))


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file, as 64 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def git_blob_sha1(file: Path) -> str:
    """Return what git calls a file's content, as 40 hex digits: the ETag that the Hub gives for small files."""
    data = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def data_url(data: bytes, kind: str) -> str:
    """Return bytes of the MIME type ``kind`` as a data URL, so that a page needs no other file.

    >>> data_url(b"hi", "text/plain")
    'data:text/plain;base64,aGk='
    """
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
