"""A page in the browser, for one machine: a cell's crops in, a karyotype to check and correct out.

- ``uploads``: what was dropped, checked against limits before it is read.
- ``session``, ``sessions``: what one browser tab is at, and how it is found again; no word of a page in them. What is done to a
  cell is ``gricol_zoo.karyotype.review``.
- ``saving``, ``signed``: what is taken away.
- ``details``, ``compare``, ``markup``, ``board``: a chromosome's pictures; pieces of HTML.
- ``page``, ``server``: the Gradio page and its server, on loopback alone. ``review.js`` turns mouse and keys into actions.
"""
