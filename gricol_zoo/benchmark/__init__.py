"""Measure the speed and memory of several models in one run; used by ``gricol-zoo benchmark`` and ``benchmarks/``.

``timing`` times steps in turn, ``machine`` measures the peak speed of the machine, ``models`` turns model names into steps,
``peers`` runs timm's networks on other runtimes, and ``rows`` makes rows with timm's column names.
"""
