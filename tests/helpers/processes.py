"""`gricol-zoo train` in one process and in several, and the comparison of two such runs."""

import contextlib
import csv
import dataclasses
import os
import signal
import subprocess
import sys

import numpy as np
from safetensors.numpy import load_file

from gricol_zoo.training.recipes import LIGHT

INIT = "gricol_r18half_n3_128.qband"
FROZEN = dataclasses.replace(LIGHT, epochs=2, batch_size=4, lr=1e-3, precision="fp32", freeze_batch_norm=True)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
SECONDS = 240  # after this time, a process that still waits for another counts as a failure


def launched(processes, port, machines=1, rank=0):
    """Return the beginning of a command that runs in several processes."""
    options = {"num_processes": processes, "num_machines": machines, "machine_rank": rank, "main_process_ip": "127.0.0.1"}
    options |= {"main_process_port": port, "mixed_precision": "no", "dynamo_backend": "no"}
    given = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    # Its --cpu starts only one process, whatever the number; --multi_gpu starts several, and `train` chooses the device.
    return [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", *given, "-m", "gricol_zoo"]


def arguments(folder, out, *more):
    given = ["--data", str(folder / "set"), "--model", "gricol_r18half_n3_128", "--init", INIT, "--device", "cpu"]
    return ["train", *given, "--recipe", str(folder / "recipe.json"), "--out", str(out), *more]


def training(start, folder, out, *more):
    command = [*start, *arguments(folder, out, *more)]
    return subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(*runs):
    """Wait for processes and return their output; kill them all if they hang."""
    try:
        return [(run.communicate(timeout=SECONDS)[1], run.returncode) for run in runs]
    finally:
        for run in runs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)


def same(one, other):
    """Compare logs and weights: they may differ only as sums in another order do, which Adam enlarges.

    On AVX2 the losses, about 0.05, differ by some 1e-6, on AVX-512 by up to 3e-5.
    """
    logs = [list(csv.DictReader((out / "log.csv").open())) for out in (one, other)]
    for key in ("train_loss", "val_loss"):
        first, second = ([float(row[key]) for row in log] for log in logs)
        np.testing.assert_allclose(second, first, rtol=1e-4, atol=1e-4)
    assert [row["val_accuracy"] for row in logs[0]] == [row["val_accuracy"] for row in logs[1]]
    first, second = (load_file(out / "model.safetensors") for out in (one, other))
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        if tensor.dtype.kind == "f":  # matrices are kept in fp16
            one, two = tensor.astype(float), second[key].astype(float)
            np.testing.assert_allclose(two, one, rtol=1e-2, atol=5e-3, err_msg=key)
            # Adam moves a weight whose gradient is hardly more than rounding either way.
            assert np.isclose(two, one, rtol=2e-3, atol=1e-3).mean() > 0.9999, key
