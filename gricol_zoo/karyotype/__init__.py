"""From the chromosomes of one cell to a karyotype that a person can check.

- ``assign``: the classes of a cell together, copy numbers expected and not forced (a function of an array).
- ``document``: what is known of a cell, as data; ``karyotype.json`` is it, edits and all; ``reading``: from that file.
- ``review``, ``checked``: what a person does to a cell, and that it was checked; ``case``: many cells of a person.
- ``draft``: the count, the sex and the departures as ISCN writes them.
- ``doubts``: what a person should look at, counts separate from classes.
- ``run``: images and a model in, a document out; ``fit``, ``bands``: which model fits a cell, and what it is for.
- ``pictures``, ``centromere``, ``ideogram``: the chromosomes upright, at one scale; where each has its waist, and what its
  class looks like.
- ``shapes``, ``placing``, ``captions``, ``layout``, ``draw``: the karyogram, as PNG and SVG.
- ``audit``, ``rerun``, ``unprotected``: the same run again, what differs, and what that cannot tell.
"""

from gricol_zoo.karyotype.assign import Assignment, Costs, assign, confidences

__all__ = ["Assignment", "Costs", "assign", "confidences"]
