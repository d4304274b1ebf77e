"""The files of a zip or a folder, by name."""

from __future__ import annotations

import contextlib
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from gricol_zoo.data.kinds import COMPANIONS, SUFFIXES
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.files import same_name

MANIFEST = "manifest.csv"
DOCUMENT, PICTURE = "karyotype.json", "karyogram"
"""Names of the files that `karyotype` writes: a document, and pictures (without suffix), which are not images of the data."""
MAX_FILE = 128 * 2**20  # bytes; the largest image that is read, 4096x4096 float pixels, has half of that
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # only for these does zipfile stop at the number of bytes asked for
IN_UTF8 = 0x800  # flag of a zip member whose name is in UTF-8; many programs write UTF-8 without setting it
DRIVE = re.compile(r"[A-Za-z]:")  # other colons may come from macOS, which replaces a slash in a name by a colon
CODE_PAGES = ("gb18030", "shift_jis", "big5", "euc_kr", "cp1250", "cp1251", "cp1252", "cp850", "cp866")
"""Possible encodings of names in a zip that does not declare one; zipfile reads such names as code page 437."""
MAX_NAMED = 4
NAME_KEYS: tuple[Callable[[str], str], ...] = (
    str,
    lambda name: same_name(name).strip(),
    lambda name: same_name(name).strip().casefold(),
)
"""Functions by whose results names are compared, the strictest first."""


class Store:
    """The files of a zip or a folder, by relative name.

    Links to folders are followed. A zip that contains one folder is read like that folder, without its name.

    Args:
        root: the zip or folder.
        names: only these files of a folder; None lists them all.

    Raises:
        GricolZooError: there is no such file or folder, the file is not a zip, or the zip has a path outside itself or a name
        twice.
    """

    def __init__(self, root: Path, names: list[str] | None = None) -> None:
        self.root = root
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._alike: list[dict[str, list[str]]] = []  # for each of ``NAME_KEYS``: key -> names; computed when first needed
        self._top = ""
        self.several: set[str] = set()  # files with several pages that were already reported
        self._closed: list[str] = []  # folders without permission to read
        if names is not None:
            self.names = names
        elif root.is_dir():
            self.names = sorted(list_folder(root, self._closed))
        elif root.is_file():
            self._zip = open_zip(root)
            members = by_name(self._zip)
            self._top = top_folder(members)
            self._members = {name.removeprefix(self._top): member for name, member in members.items()}
            self.names = list(self._members)
        else:
            raise GricolZooError(f"No such file or folder: {root}.")

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            FileNotFoundError: there is no such name.
            OSError: the file cannot be read.
            ImageError: the file is larger than ``MAX_FILE``, or a zip member cannot be unpacked: it is damaged, encrypted, or
                compressed with another method than deflate.
        """
        if self._zip is None:
            file = self.root / name
            _check_size(file.stat().st_size)
            return file.read_bytes()
        try:
            member = self._members[name]
            _check_size(member.file_size)
            if member.compress_type not in PACKINGS:
                raise ImageError("cannot be unpacked: not compressed with deflate. Create the zip again with deflate.")
            with self._zip.open(member) as stream:
                # The size is given, because without it a member that is larger than its header says is unpacked completely.
                return stream.read(member.file_size)
        except KeyError as error:
            raise FileNotFoundError(name) from error
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError(f"cannot be unpacked: {error}") from error

    def images(self) -> list[str]:
        """Return the names of the image files, without hidden ones."""
        return [name for name in self._visible() if name.lower().endswith(SUFFIXES)]

    def _visible(self) -> list[str]:
        """Return the names of the files that are not hidden and are not pictures that `karyotype` wrote here."""
        written = {name.removesuffix(DOCUMENT) + PICTURE for name in self.names if name.split("/")[-1] == DOCUMENT}
        return [name for name in self.names if not hidden(name) and name.rpartition(".")[0] not in written]

    def left_out(self) -> str:
        """Return a note on files that may be images but are not read, and on folders without permission; "" without any."""
        names = [name for name in self._visible() if not name.lower().endswith((*SUFFIXES, *COMPANIONS))]
        closed = f"left out folders that may not be read: {some(self._closed)}." if self._closed else ""
        if not names:
            return closed
        kinds = sorted({PurePosixPath(name).suffix.lower() or "no suffix" for name in names})
        return f"{closed} ".lstrip() + (
            f"left out {len(names)} file{'' if len(names) == 1 else 's'} of kinds that are not read ({', '.join(kinds)}): "
            f"{some(names)}. Save images as PNG or TIFF."
        )

    def find(self, name: str) -> str:
        """Return the name of the file that a table refers to, "" if there is none, or more than one.

        A leading ``./``, backslashes, another Unicode form, upper or lower case, and an absolute path into the folder do not
        matter.
        """
        if name in self._names_by(0):
            return name
        forms = (name, name.replace("\\", "/"))
        ways = [way(form) for way in (str, _plain, self._inside, self._below_top) for form in forms]
        if self._zip is not None and not name.isascii():
            ways += [other for form in ways[1:] for other in _as_437(form)]
        for place, key in enumerate(NAME_KEYS):
            for tried in ways:
                found = self._names_by(place).get(key(tried), [])
                if tried in found or len(found) == 1:
                    return tried if tried in found else found[0]
        return ""

    def _names_by(self, place: int) -> dict[str, list[str]]:
        """Return key -> names for one of ``NAME_KEYS``, computed when first needed."""
        while place >= len(self._alike):
            alike: dict[str, list[str]] = {}
            for name in self.names:
                alike.setdefault(NAME_KEYS[len(self._alike)](name), []).append(name)
            self._alike.append(alike)
        return self._alike[place]

    def _below_top(self, name: str) -> str:
        return name.removeprefix(self._top)

    def _inside(self, name: str) -> str:
        """Return an absolute path relative to the folder; unchanged if it leads elsewhere."""
        if self._zip is None and os.path.isabs(name):
            file = Path(name)
            resolved = file.parent.resolve() / file.name
            for inside, root in ((file, self.root.absolute()), (resolved, self.root.resolve())):
                if inside.is_relative_to(root):
                    return inside.relative_to(root).as_posix()
        return name


def _plain(name: str) -> str:
    return str(PurePosixPath(name))


def _as_437(name: str) -> list[str]:
    """Return the forms that a name may have in a zip that was made with another code page."""
    found = []
    for page in CODE_PAGES:
        with contextlib.suppress(UnicodeError):
            found.append(name.encode(page).decode("cp437"))
    return found


def some(names: Sequence[str]) -> str:
    """Return the first names of a list as text, with "..." if there are more."""
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")


def hidden(name: str) -> bool:
    """Return whether a file is hidden: a part of its path begins with a dot or with __MACOSX."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def list_folder(
    root: Path, closed: list[str], prefix: str = "", above: frozenset[tuple[int, int]] = frozenset()
) -> Iterable[str]:
    """Yield the names of the files in a folder and below it; links are followed, unless they lead back up.

    Folders below it without permission to read are added to ``closed``.

    Raises:
        PermissionError: the folder itself may not be read.
    """
    status = root.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    try:
        entries = list(os.scandir(root))
    except PermissionError:
        if not prefix:
            raise
        closed.append(prefix.rstrip("/"))
        return
    for entry in entries:
        try:
            folder, file = entry.is_dir(), entry.is_file()
        except OSError:  # a link to itself
            folder, file = False, False
        if folder:
            if not hidden(entry.name):
                yield from list_folder(Path(entry.path), closed, f"{prefix}{entry.name}/", above | {here})
        elif file or entry.is_symlink():  # a broken link is reported when it is read
            yield prefix + entry.name


def plain_name(member: zipfile.ZipInfo) -> str:
    """Return the name of a zip member with forward slashes, decoded as UTF-8 if possible, even without the UTF-8 flag."""
    name = member.filename
    if not member.flag_bits & IN_UTF8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def by_name(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the files of a zip by their names.

    Raises:
        GricolZooError: two files have the same name, so that one of them would be lost.
    """
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        if member.filename.endswith(("/", "\\")):
            continue
        name = plain_name(member)
        if name in members and not hidden(name):
            raise GricolZooError(f"{archive.filename} contains {name!r} twice. Create the zip again with each file once.")
        members[name] = member
    return members


def top_folder(names: Iterable[str]) -> str:
    """Return the single folder, with its slash, that contains all files of a zip; "" if there is none.

    The folder must itself contain folders or a manifest; otherwise it may be a class or a cell.
    """
    visible = [name for name in names if not hidden(name)]
    top = visible[0].partition("/")[0] + "/" if visible else ""
    if not all(name.startswith(top) for name in visible):
        return ""
    inside = [name.removeprefix(top) for name in visible]
    return top if any("/" in name or name.lower() == MANIFEST for name in inside) else ""


def _check_size(size: int) -> None:
    if size > MAX_FILE:
        raise ImageError(f"{size / 2**20:.0f} MiB is larger than the limit for a crop ({MAX_FILE // 2**20} MiB)")


def open_zip(file: Path) -> zipfile.ZipFile:
    """Open a zip file.

    Raises:
        GricolZooError: the file is not a zip, or a path in it is absolute or leads outside.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise GricolZooError(
            f"{file} is not a valid zip file: {error}. Expected a zip, a folder, an image or a table."
        ) from error
    for name in archive.namelist():
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or DRIVE.match(name):
            raise GricolZooError(f"{file} contains {name!r}, a path outside the archive. Create the zip again without it.")
    return archive
