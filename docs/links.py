"""A hook of mkdocs: links from the pages to files of the repository that are outside docs/.

A picture is copied into the site. A notebook has a page in it. Any other file is linked to ``extra.repository`` of mkdocs.yml;
where that is empty, its name stands in the link's place.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
COPIES = "repository"  # the folder of the site that copied pictures are in


def outside(page: str, target: str) -> str:
    """Return the path of a link's file from the root of the repository; "" for anything in docs/ or on the web."""
    if re.match(r"[a-z]+:|#|/", target):
        return ""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), unquote(target.partition("#")[0])))
    return "" if path.startswith("docs/") else path


def rewrite(markdown: str, page: str, repository: str, pictures: set[str]) -> str:
    """Return a page with its links to files outside docs/ rewritten.

    Args:
        markdown: of the page.
        page: its path in docs/.
        repository: the address that files are below, or "".
        pictures: those that the page shows are added, as paths from the root of the repository.

    Raises:
        FileNotFoundError: a link leads to no file.
    """

    def one(found: re.Match[str]) -> str:
        mark, text, target = found.groups()
        if not (path := outside(page, target)):
            return found[0]
        if path.startswith("..") or not (ROOT / path).exists():
            raise FileNotFoundError(f"docs/{page} links to {target}: expected a file of the repository, but there is none.")
        if path.endswith(".ipynb"):  # whose page docs/notebooks.py makes
            return f"[{text}]({posixpath.relpath(path.removesuffix('.ipynb') + '.md', posixpath.dirname(page) or '.')})"
        if mark:
            pictures.add(path)
            up = posixpath.relpath(f"{COPIES}/{path}", posixpath.dirname(page) or ".")
            return f"![{text}]({up})"
        _, hash_, anchor = target.partition("#")
        return f"[{text}]({repository.rstrip('/')}/{path}{hash_}{anchor})" if repository else named(text, path)

    parts, at = [], 0
    for fence in FENCE.finditer(markdown):  # what is code stays as it is
        parts += [LINK.sub(one, markdown[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, LINK.sub(one, markdown[at:])])


def named(text: str, path: str) -> str:
    """Return a link's text and the file's path in the repository, once where they say the same."""
    return text if path in text else f"{text}, `{path}`"


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite a page's links; called by mkdocs before the page is rendered."""
    from mkdocs.structure.files import File

    pictures: set[str] = set()
    text = rewrite(markdown, page.file.src_uri, config.extra["repository"], pictures)
    for path in sorted(pictures):
        uri = f"{COPIES}/{path}"
        if files.get_file_from_path(uri) is None:
            files.append(File.generated(config, uri, abs_src_path=os.fspath(ROOT / path)))
    return text
