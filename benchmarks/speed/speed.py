"""Models side by side at inference: images per second, latency, memory, Gflops and the share of the machine's peak.

    python -m benchmarks.speed.speed [--rounds 9]

Writes results/speed/speed.csv and .md: our names and timm's, each as a user gets it (fp32, torch's defaults) and
optimized alike (channels-last, batch-norm folded, bf16 where the device has it), all timed in turn in one run, batch 8, random
images. Ours are the lower branch, at their own image size; timm's at 224x224 with 3 channels, and resnet50 with grey input as
well. Also results/speed/speed_ratios.csv (r50half against timm's resnet50), speed_batch.csv (batch sizes) and
speed_profile.csv (where the time of the optimized r50half goes).
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.common import record
from benchmarks.speed.training_step import PROFILE_COLUMNS, profile_step
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.models import Subject, inference_step
from gricol_zoo.benchmark.rows import MARKDOWN, benchmark
from gricol_zoo.benchmark.timing import time_in_turn
from gricol_zoo.inference.precision import choose_dtype

OURS = ("gricol_r50half_n3", "r50half", "resnet50", "gricol_r18half_n3_128")
TIMM = (
    ("timm/resnet50", 3),
    ("timm/resnet50", 1),
    ("timm/resnet18", 3),
    ("timm/convnext_tiny", 3),
    ("timm/vit_small_patch16_224", 3),
)
FORMS = ("as is", "optimized")
RATIOS = {
    "what": ("r50half / timm's resnet50", ""),
    "images_per_sec": ("images/s", ".1f"),
    "resnet50_images_per_sec": ("resnet50, images/s", ".1f"),
    "ratio": ("ratio", ".2f"),
    "aim": ("aim", ".1f"),
}
BATCHES = {
    "model": ("model", ""),
    "batch_size": ("batch", ""),
    "samples_per_sec": ("images/s", ".1f"),
    "ms_per_image": ("ms per image", ".2f"),
    "ms_low": ("lower quartile", ".2f"),
    "ms_high": ("upper quartile", ".2f"),
}


def subjects(dtype: str) -> list[Subject]:
    """Return what is timed."""
    names = [(name, 0) for name in OURS] + list(TIMM)
    return [Subject(name, form, dtype, channels) for name, channels in names for form in FORMS]


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return r50half's lower branch against timm's resnet50 with 3 channels, three ways."""
    speed = {(row["model"], row["in_chans"], row["form"]): row["infer_samples_per_sec"] for row in rows}
    pairs = [
        ("as a user gets each: ours by `optimize`, as in `predict`; timm's by `create_model`", "optimized", "as is", 3.5),
        ("both as `create_model` gives them", "as is", "as is", None),
        ("optimized alike", "optimized", "optimized", 1.3),
    ]
    return [
        {
            "what": what,
            "images_per_sec": speed["r50half", 1, ours],
            "resnet50_images_per_sec": speed["timm/resnet50", 3, theirs],
            "ratio": round(speed["r50half", 1, ours] / speed["timm/resnet50", 3, theirs], 3),
            "aim": "" if aim is None else aim,
        }
        for what, ours, theirs, aim in pairs
    ]


def batches(dtype: str, rounds: int) -> list[dict[str, Any]]:
    """Return the time per image by batch size."""
    sizes = [(name, size) for name in ("r50half", "gricol_r18half_n3_128") for size in (1, 2, 4, 8, 16, 32, 64)]
    steps = {key: inference_step(Subject(key[0], "optimized", dtype), key[1]) for key in sizes}
    times = time_in_turn(steps, rounds)
    return [
        {
            "model": name,
            "batch_size": size,
            "samples_per_sec": round(size / times[name, size].median, 2),
            **{
                f"ms_{key}": round(getattr(times[name, size], field) / size * 1e3, 3)
                for key, field in (("per_image", "median"), ("low", "low"), ("high", "high"))
            },
            "dtype": dtype,
            "rounds": rounds,
            **describe_machine(),
        }
        for name, size in sizes
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    dtype = choose_dtype("auto")
    rows = benchmark(subjects(dtype), rounds=options.rounds)
    record.write(
        "speed/speed",
        rows,
        {key: MARKDOWN[key] for key in MARKDOWN if key != "infer_batch_size"} | {"in_chans": ("channels", "")},
    )
    record.write("speed/speed_ratios", [{**row, "dtype": dtype, **describe_machine()} for row in ratios(rows)], RATIOS)
    record.write("speed/speed_batch", batches(dtype, options.rounds), BATCHES)
    record.write(
        "speed/speed_profile",
        profile_step(inference_step(Subject("r50half", "optimized", dtype), 8), "r50half", dtype, 8),
        PROFILE_COLUMNS,
    )


if __name__ == "__main__":
    main()
