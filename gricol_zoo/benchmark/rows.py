"""Benchmark rows with timm's column names (benchmark.py of timm 1.0.31) and some columns of our own; Markdown output.

Units: samples per second; step time and latency in ms per batch, where low and high are quartiles; gmacs (1e9) and macts (1e6)
per image; peak memory in MiB beyond weights and inputs; param_count in 1e6; peak_fraction is the speed relative to the fastest
convolution timed in the same run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gricol_zoo.benchmark.machine import best_convolution, describe_machine, peak_steps
from gricol_zoo.benchmark.models import Subject, cost_of, inference_step, settled, training_step
from gricol_zoo.benchmark.timing import Spread, peak_memory_of, time_in_turn
from gricol_zoo.inference.precision import DTYPES

INFER = "infer"
TRAIN = "train"
MARKDOWN = {  # column: heading and digits of the table for people
    "model": ("model", ""),
    "form": ("form", ""),
    "runtime": ("runtime", ""),
    "dtype": ("dtype", ""),
    "infer_batch_size": ("batch", ""),
    "infer_img_size": ("image", ""),
    "infer_samples_per_sec": ("images/s", ".1f"),
    "infer_latency": ("one image, ms", ".1f"),
    "infer_gmacs": ("Gflops (multiply-adds)", ".2f"),
    "infer_peak_fraction": ("of conv peak", ".0%"),
    "infer_peak_memory": ("peak memory, MiB", ".0f"),
    "train_batch_size": ("train batch", ""),
    "train_samples_per_sec": ("train images/s", ".1f"),
    "train_peak_memory": ("train peak memory, MiB", ".0f"),
    "param_count": ("parameters, M", ".2f"),
}


def benchmark(
    subjects: Sequence[Subject],
    kinds: Sequence[str] = (INFER,),
    batch_size: int = 8,
    rounds: int = 7,
    memory: bool = True,
) -> list[dict[str, Any]]:
    """Time all subjects in turn, together with the peak speed of the machine, and return one row per subject.

    Args:
        subjects: what to time; all on one device.
        kinds: "infer", "train" or both.
        batch_size: images per batch.
        rounds: how often each is timed.
        memory: also measure the peak memory of each subject (on the CPU one process per subject, which takes some seconds).

    Raises:
        GricolZooError: a runtime is not installed, or does not support the dtype.
    """
    device = subjects[0].device
    subjects = [settled(subject, batch_size) for subject in subjects]
    rows = []
    for subject in subjects:
        cost = cost_of(subject)
        rows.append(
            {
                "model": subject.name,
                "form": subject.form,
                "runtime": subject.runtime,
                "dtype": "fp32" if subject.form == "as is" else subject.dtype,
                "in_chans": cost["size"][0],
                "param_count": round(cost["params"], 3),
                **{f"{kind}_img_size": _side(*cost["size"][1:]) for kind in kinds},
                "infer_gmacs": round(cost["gmacs"], 4),
                "infer_macts": round(cost["macts"], 4),
            }
        )
    if INFER in kinds:
        _infer(rows, subjects, batch_size, rounds, memory, device)
    if TRAIN in kinds:
        _train(rows, subjects, batch_size, rounds, memory, device)
    return [{**row, "rounds": rounds, **describe_machine(device)} for row in rows]


def _infer(
    rows: list[dict[str, Any]], subjects: Sequence[Subject], batch_size: int, rounds: int, memory: bool, device: str
) -> None:
    dtypes = sorted({str(row["dtype"]) for row in rows} & set(DTYPES))  # no peak is measured for others
    peaks = {dtype: peak_steps(dtype, device) for dtype in dtypes}
    steps: dict[Any, Any] = {(i, "batch"): inference_step(subject, batch_size) for i, subject in enumerate(subjects)}
    steps |= {(i, "one"): inference_step(subject, 1) for i, subject in enumerate(subjects)}
    steps |= {(dtype, name): step for dtype in dtypes for name, step in peaks[dtype][0].items()}
    times = time_in_turn(steps, rounds)
    for index, (row, subject) in enumerate(zip(rows, subjects, strict=True)):
        speed = row["infer_gmacs"] * batch_size / times[index, "batch"].median
        row |= _step_columns(INFER, times[index, "batch"], batch_size)
        row |= {"infer_latency": round(times[index, "one"].median * 1e3, 3), "infer_gmacs_per_sec": round(speed, 2)}
        dtype = str(row["dtype"])
        if dtype in peaks:
            own = {name: times[dtype, name] for name in peaks[dtype][0]}
            row |= _of_peak(speed, own, peaks[dtype][1])
        if memory:
            row["infer_peak_memory"] = round(peak_memory_of(inference_step, subject, batch_size, device=device), 1)


def _of_peak(speed: float, own: Mapping[str, Spread], gmacs: Mapping[str, float]) -> dict[str, float]:
    peak = best_convolution(own, gmacs)
    matrix = max(gmacs[name] / spread.median for name, spread in own.items() if "matrix" in name)
    return {
        "infer_peak_fraction": round(speed / peak, 4),
        "conv_peak_gmacs_per_sec": round(peak, 2),
        "matrix_peak_gmacs_per_sec": round(matrix, 2),
    }


def _train(
    rows: list[dict[str, Any]], subjects: Sequence[Subject], batch_size: int, rounds: int, memory: bool, device: str
) -> None:
    times = time_in_turn({i: training_step(subject, batch_size) for i, subject in enumerate(subjects)}, rounds)
    for index, (row, subject) in enumerate(zip(rows, subjects, strict=True)):
        row.update(_step_columns(TRAIN, times[index], batch_size))
        if memory:
            row["train_peak_memory"] = round(peak_memory_of(training_step, subject, batch_size, device=device), 1)


def _step_columns(kind: str, time: Spread, batch_size: int) -> dict[str, Any]:
    return {
        f"{kind}_samples_per_sec": round(batch_size / time.median, 2),
        f"{kind}_step_time": round(time.median * 1e3, 3),
        f"{kind}_step_time_low": round(time.low * 1e3, 3),
        f"{kind}_step_time_high": round(time.high * 1e3, 3),
        f"{kind}_batch_size": batch_size,
    }


def _side(height: int, width: int) -> int | str:
    return height if height == width else f"{height}x{width}"


def to_markdown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]] = MARKDOWN) -> str:
    """Return rows as a Markdown table; a column that no row has is left out."""
    used = [key for key in columns if any(key in row for row in rows)]
    lines = [_line(columns[key][0] for key in used), _line("---" for _ in used)]
    for row in rows:
        lines.append(_line(format(row[key], columns[key][1]) if row.get(key, "") != "" else "" for key in used))
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
