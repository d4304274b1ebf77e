"""From the chromosomes of one cell to a karyotype that a person can check.

- ``assign``: the classes of a cell together, copy numbers expected and not forced (a function of an array).
- ``document``: what is known of a cell, as data; ``karyotype.json`` is it, edits and all.
- ``draft``: the count, the sex and the departures as ISCN writes them.
- ``doubts``: what a person should look at, counts told apart from classes.
- ``run``: images and a model in, a document out.
- ``pictures``, ``centromere``: the chromosomes upright, at one scale, and where each has its waist.
- ``shapes``, ``placing``, ``captions``, ``layout``, ``draw``: the karyogram, as PNG and SVG.
- ``audit``: the same run again, and what differs.
"""

from gricol_zoo.karyotype.assign import Assignment, Costs, assign, confidences

__all__ = ["Assignment", "Costs", "assign", "confidences"]
