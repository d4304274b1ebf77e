"""A page in the browser, for one machine: a cell's crops in, a karyotype to check and correct out.

- ``uploads``: what was dropped, checked against limits before it is read.
- ``session``: what one browser tab is at; no word of a page in it.
- ``details``, ``markup``: a chromosome's pictures; pieces of HTML.
- ``page``, ``server``: the Gradio page and its server, on loopback alone.
"""
