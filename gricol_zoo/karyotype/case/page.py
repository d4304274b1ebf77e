"""What the HTML files of a case share: a page without other files and without scripts, and escaped text."""

from __future__ import annotations

import html

from gricol_zoo.files import escaped

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #555; --line: #bbb; --paper: #fff; --loud: #8c1d18; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #aaa; --line: #555; --paper: #181818; --loud: #ff9a8f; }
}
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --line: #999; --paper: #fff; --loud: #8c1d18; }
  h2 { break-after: avoid; } tr, figure { break-inside: avoid; }
}
@page { size: A4; margin: 16mm; }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.strong { font-weight: 600; } .loud { color: var(--loud); } .soft, footer, figcaption { color: var(--soft); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); }
figure { margin: 1rem 0; } figure img { width: 100%; background: #fff; border: 1px solid var(--line); }
ul.cells { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; padding: 0;
  list-style: none; }
ul.cells li { border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }
ul.cells img { width: 100%; background: #fff; border-radius: 3px; }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def text(words: str) -> str:
    r"""Return text escaped for HTML, with control characters written out.

    >>> text("<b>a\tb")
    '&lt;b&gt;a\\tb'
    """
    return html.escape(escaped(words))


def to_page(title: str, body: str) -> str:
    """Return a whole HTML page.

    Args:
        title: plain text.
        body: HTML.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
