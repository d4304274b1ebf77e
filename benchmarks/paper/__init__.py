"""The paper's tables and claims beside ours: comparisons, grid size, overlap, bending, ablations, what models look at."""
