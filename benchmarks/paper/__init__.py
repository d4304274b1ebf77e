"""The paper's tables and claims compared with ours: systems, grid size, overlap, bending, ablations, what models look at."""
