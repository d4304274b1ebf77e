"""A browser page for one machine: it takes a cell's crops and shows a karyotype to check and correct.

- ``uploads``: the dropped files, checked against limits before they are read.
- ``session``, ``sessions``: the state of one browser tab, and how it is found again; independent of the page. Actions on a cell
  are in ``gricol_zoo.karyotype.review``.
- ``saving``, ``signed``: downloads.
- ``details``, ``compare``, ``markup``, ``board``: a chromosome's pictures; pieces of HTML.
- ``page``, ``server``: the Gradio page and its server, on loopback only. ``review.js`` turns mouse and keys into actions.
"""
