"""How the cost of the upper branch grows with the grid: time per cell for N = 2, 3, 4.

    python -m benchmarks.speed.scaling [--batch-size 2] [--rounds 7]

Writes results/speed/scaling.csv and .md. All classifiers at 448x456 (``model.full`` of the optimized model): N*N cells and the
overview, so N*N + 1 backbone passes per image; random images, timed in turn in one run.
"""

from __future__ import annotations

import argparse

import torch

import gricol_zoo
from benchmarks.common import record
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.timing import Step, time_in_turn
from gricol_zoo.inference.precision import choose_dtype

COLUMNS = {
    "grid": ("N", ""),
    "passes": ("backbone passes per image", ""),
    "ms_per_image": ("ms per image", ".0f"),
    "ms_per_cell": ("ms per cell", ".1f"),
    "ms_low": ("lower quartile", ".1f"),
    "ms_high": ("upper quartile", ".1f"),
    "cell_vs_n3": ("relative to N = 3", ".3f"),
}


def full_step(grid: int, batch_size: int) -> Step:
    """Return a step that runs all classifiers of the paper's model on random images."""
    model = gricol_zoo.optimize(gricol_zoo.create_model(f"gricol_r50half_n{grid}").eval())
    x = torch.randn(batch_size, 1, *model.spec.image_size)

    def step() -> None:
        with torch.inference_mode():
            model.full(x)

    return step


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    times = time_in_turn({grid: full_step(grid, options.batch_size) for grid in (2, 3, 4)}, options.rounds)
    cell = {grid: time.median / options.batch_size / (grid**2 + 1) for grid, time in times.items()}
    rows = [
        {
            "grid": grid,
            "passes": grid**2 + 1,
            "ms_per_image": round(time.median / options.batch_size * 1e3, 2),
            "ms_per_cell": round(cell[grid] * 1e3, 3),
            "ms_low": round(time.low / options.batch_size / (grid**2 + 1) * 1e3, 3),
            "ms_high": round(time.high / options.batch_size / (grid**2 + 1) * 1e3, 3),
            "cell_vs_n3": round(cell[grid] / cell[3], 4),
            "batch_size": options.batch_size,
            "dtype": choose_dtype("auto"),
            "rounds": options.rounds,
            **describe_machine(),
        }
        for grid, time in times.items()
    ]
    record.write("speed/scaling", rows, COLUMNS)


if __name__ == "__main__":
    main()
