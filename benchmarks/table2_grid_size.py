"""The paper's Table 2 beside ours: parameters and Gflops by grid size.

    python benchmarks/table2_grid_size.py

Writes benchmarks/results/table2_grid_size.csv and .md. Gflops are multiply-adds (one multiply-add = 1), counted by fvcore
at 1x448x456, batch-norm and pooling included, upper branch alone: that reading, cut off at one decimal, gives back all six of
the paper's figures. The lower branch, which alone runs at inference, stands beside it.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import gricol_zoo

PRINTED = {2: (11.5, 22.1), 3: (26.0, 27.5), 4: (46.3, 35.0)}
RESULTS = Path(__file__).parent / "results"


def cut(value: float) -> float:
    """Cut off at one decimal."""
    return math.floor(value * 10) / 10


def main() -> None:
    """Count the three models; write and print the table."""
    rows = []
    for grid, (gflops, params) in PRINTED.items():
        cost = gricol_zoo.count(gricol_zoo.create_model(f"gricol_r50half_n{grid}"))
        rows.append(
            {
                "model": f"gricol_r50half_n{grid}",
                "grid": grid,
                "paper_gflops": gflops,
                "gmacs_upper_cut": cut(cost.upper),
                "paper_params_m": params,
                "params_m_cut": cut(cost.params),
                **cost.rows(),
            }
        )
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "table2_grid_size.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    head = "| N | Gflops, paper | Gflops, ours (upper branch) | parameters (M), paper | ours | lower branch, Gflops |"
    lines = [head, "|---|---|---|---|---|---|"]
    for row in rows:
        gflops = f"{row['gmacs_upper_cut']} ({row['gmacs_upper']:.3f})"
        params = f"{row['params_m_cut']} ({row['params_m']:.3f})"
        cells = (row["grid"], row["paper_gflops"], gflops, row["paper_params_m"], params, f"{row['gmacs_lower']:.3f}")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    text = "\n".join(lines) + "\n"
    (RESULTS / "table2_grid_size.md").write_text(text)
    print(text, end="")
    print("Gflops are multiply-adds, cut off at one decimal (in brackets: three). fvcore's total at 1x448x456, batch 1.")


if __name__ == "__main__":
    main()
