"""Batches in parallel: results in order, few batches at a time, and torch's threads restored."""

import os
import subprocess
import sys
import threading
import time

import pytest
import torch

from gricol_zoo.inference import precision, workers
from gricol_zoo.inference.precision import choose_dtype, has_bf16
from gricol_zoo.inference.workers import side_by_side, usable_cores


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("items", [0, 1, 2, 3, 50])
def test_results_come_in_order(count, items):
    assert list(side_by_side(lambda x: x * x, range(items), count)) == [x * x for x in range(items)]


def test_work_runs_at_the_same_time():
    together = threading.Barrier(3, timeout=20)  # breaks unless three workers are here at the same time
    assert list(side_by_side(lambda _: together.wait() >= 0, range(3), 3)) == [True] * 3


def test_at_most_two_items_a_worker_are_under_way():
    taken = []

    def items():
        for item in range(40):
            taken.append(item)
            yield item

    for done, _ in enumerate(side_by_side(lambda x: x, items(), 2), start=1):
        assert len(taken) <= done + 5


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_threads_are_shared_out_and_given_back(monkeypatch, four_threads):
    monkeypatch.setattr(workers, "usable_cores", lambda: 4)
    assert set(side_by_side(lambda _: torch.get_num_threads(), range(8), 2)) == {2}
    assert set(side_by_side(lambda _: torch.get_num_threads(), range(8), 8)) == {1}
    assert torch.get_num_threads() == 4
    seen = []  # by a thread that starts afterwards
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [4]


def test_no_more_workers_than_torch_may_have_threads(monkeypatch, four_threads):
    monkeypatch.setattr(workers, "usable_cores", lambda: 64)
    names = set(side_by_side(lambda _: time.sleep(0.01) or threading.current_thread().name, range(40)))
    assert 1 < len(names) <= 4


def test_an_error_reaches_the_caller_and_stops_the_rest():
    done = []

    def work(item):
        if item == 3:
            raise ValueError("the third")
        done.append(item)
        return item

    with pytest.raises(ValueError, match="the third"):
        list(side_by_side(work, range(1000), 2))
    assert len(done) < 20


@pytest.mark.parametrize(("text", "cores"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("", None)])
def test_a_containers_quota_counts(text, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert usable_cores(file) == (cores or 16)
    assert usable_cores(tmp_path / "none") == 16


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"avx2": True}, False),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"bf16": True}, True),
    ],
)
def test_bf16_only_where_the_processor_has_it(known, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert has_bf16("cpu") is expected
    assert choose_dtype("auto") == ("bf16" if expected else "fp32")
    assert choose_dtype("fp32") == "fp32"


def test_an_unknown_dtype_is_refused():
    with pytest.raises(precision.GricolZooError, match="auto, fp32, bf16, but got 'fp16'"):
        choose_dtype("fp16")


@pytest.mark.parametrize("bf16", [True, False])
def test_an_older_torch_is_asked_for_the_processors_own_bf16(bf16, monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(precision.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    assert has_bf16("cpu") is bf16


FORK = """
import os, signal, sys, torch
from gricol_zoo.inference.workers import side_by_side
torch.set_num_threads(2)
weight = torch.randn(64, 64, 3, 3)
work = lambda _: torch.nn.functional.conv2d(torch.randn(8, 64, 64, 64), weight).sum()
list(side_by_side(work, range(2), 1))
child = os.fork()
if not child:
    signal.alarm(60)
    list(side_by_side(work, range(2), 1))
    os._exit(7)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_after_work_works_too():
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], env=environment, timeout=180).returncode == 7
