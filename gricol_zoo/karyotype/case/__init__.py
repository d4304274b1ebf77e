"""From the cells of a case to documents that a person can check and sign: table, overview, proposed clones and report.

Everything here is a function of ``Karyotype``s (and, for pictures, of PNG files), so that the commands and the page agree.

- ``iscn``: whole chromosomes as ISCN writes them (functions of counts).
- ``counted``: the counts of one cell, or why they cannot be used.
- ``clones``: the proposed clones and the mosaic string.
- ``summary``: a case: its cells, its totals and its proposal.
- ``table``: ``cells.csv``.
- ``thumbnails``, ``overview``: all cells at a glance, as HTML.
- ``content``, ``report_html``, ``report_pdf`` (with ``sheet``): the report as data, and written as HTML and PDF.
- ``folder``: a case from the files that ``karyotype`` wrote.
- ``batch``: all files of a case, for a folder or one download.
"""
