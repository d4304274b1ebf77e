"""From the cells of a case to what a person can check and sign: a table, an overview, proposed clones and a report.

Everything here is a function of ``Karyotype``s (and, for pictures, of PNG files), so that the commands and the page say the
same.

- ``iscn``: whole chromosomes as ISCN writes them (functions of counts).
- ``counted``: what one cell contributes, or why it contributes nothing.
- ``clones``: the proposed clones and the mosaic string.
- ``summary``: a case: its cells, its totals and what is proposed of it.
- ``table``: ``cells.csv``.
- ``thumbnails``, ``overview``: all cells at a glance, as HTML.
- ``content``, ``report_html``, ``report_pdf`` (on ``sheet``): the report, once as data and written twice.
- ``folder``: a case from the files that ``karyotype`` wrote.
- ``batch``: all files of a case, for a folder or one download.
"""
