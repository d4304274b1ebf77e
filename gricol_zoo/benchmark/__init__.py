"""Speed and memory of models, side by side in one run: what ``gricol-zoo benchmark`` and ``benchmarks/`` measure with.

``timing`` repeats steps in turn, ``machine`` finds what the machine could do at best, ``models`` turns names into steps,
``table`` writes rows under timm's column names.
"""
