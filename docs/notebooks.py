"""A hook of mkdocs: each notebook of examples/ becomes a page, as it lies there. Nothing is run."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
LINK = re.compile(r"\]\(([^)\s]+)\)")


def link(found: re.Match[str]) -> str:
    """Return a link of a notebook as its page needs it: to pages of docs/, to other notebooks' pages, to other files."""
    target = found[1]
    if re.match(r"[a-z]+:|#", target):
        return found[0]
    if target.startswith("../docs/"):
        return f"](../{target.removeprefix('../docs/')})"
    return f"]({target.removesuffix('.ipynb')}.md)" if target.endswith(".ipynb") else f"](../../examples/{target})"


def page_of(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and the pictures that it shows, by their names beside the page."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(LINK.sub(link, source) if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"{name}-{len(pictures) + 1}.png"
                pictures[picture] = base64.b64decode(data["image/png"])
                parts.append(f"![what the code shows]({picture})")
            else:
                parts.append("```text\n" + "".join(output.get("text", data.get("text/plain", []))).rstrip("\n") + "\n```")
    return "\n\n".join(parts) + "\n", pictures


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages; called by mkdocs once all files are known."""
    from mkdocs.structure.files import File

    for file in sorted(EXAMPLES.glob("*.ipynb")):
        text, pictures = page_of(json.loads(file.read_text(encoding="utf-8")), file.stem)
        for name, content in {f"{file.stem}.md": text, **pictures}.items():
            files.append(File.generated(config, f"examples/{name}", content=content))
    return files
