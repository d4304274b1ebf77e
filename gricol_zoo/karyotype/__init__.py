"""From the chromosomes of one cell to a karyotype that a person can check.

- ``assign``: the classes of all chromosomes of a cell together; copy numbers are expected but not forced (a function of an
  array).
- ``document``: all data of a cell, with its edits; ``karyotype.json`` is its file, which ``reading`` reads.
- ``review``, ``checked``: a person's actions on a cell, and that it was checked; ``case``: many cells of a person.
- ``draft``: the count, the sex and the departures as ISCN writes them.
- ``doubts``: what a person should look at: counts and classes, separately.
- ``run``: images and a model in, a document out; ``fit``, ``bands``: which model fits a cell, and the banding of a model.
- ``pictures``, ``centromere``, ``ideogram``: the chromosomes upright, at one scale; the place of the centromere, and the
  ideogram of a class.
- ``shapes``, ``placing``, ``captions``, ``layout``, ``draw``: the karyogram, as PNG and SVG.
- ``audit``, ``rerun``, ``unprotected``: repeat a run, compare it, and list what that cannot detect.
"""

from gricol_zoo.karyotype.assign import Assignment, Costs, assign, confidences

__all__ = ["Assignment", "Costs", "assign", "confidences"]
