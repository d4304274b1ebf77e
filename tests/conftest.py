import os
import shutil
import tempfile
import time
import types

import numpy as np
import pytest
from helpers.hub import ENVIRONMENT, LOCAL_HUB

os.environ.update(ENVIRONMENT)  # before huggingface_hub is first imported
os.environ.setdefault(
    "GRICOL_ZOO_CACHE", tempfile.mkdtemp("gricol_zoo")
)  # parallel test processes share the cache of their parent
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:  # parallel tests, and the processes they start, use one core each
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import torch
from helpers.models import OLD_MODEL
from helpers.synthetic import tiny_set

from gricol_zoo.data.synthetic import render_cell

pytest.register_assert_rewrite("helpers.processes")
torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Count a skipped test as a failure where everything that a test may need is installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("GRICOL_ZOO_NO_SKIPS") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["GRICOL_ZOO_CACHE"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty local Hub, with an empty cache and no wait between attempts."""
    import huggingface_hub.constants
    import huggingface_hub.file_download
    import huggingface_hub.utils._http

    import gricol_zoo.weights.hub.repo

    at_once = types.SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None})
    for client in (huggingface_hub.file_download, huggingface_hub.utils._http):  # it also waits between its own attempts
        monkeypatch.setattr(client, "time", at_once)

    LOCAL_HUB.forget()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf_cache"))
    monkeypatch.setattr(gricol_zoo.weights.hub.repo, "WAIT", 0)
    yield LOCAL_HUB
    LOCAL_HUB.forget()


@pytest.fixture(scope="session", autouse=True)
def _no_cache_left():
    yield
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """A folder with packaged weights, set to preparation 2, whose length and reference were measured on synthetic cells."""
    from gricol_zoo import create_model
    from gricol_zoo.data.preprocess import prepare
    from gricol_zoo.data.quality import fit_reference, measure

    model = create_model(OLD_MODEL, pretrained=True)
    model.spec = model.spec.replace(preprocess={"version": 2})
    greys = {seed: [grey for _, _, grey in render_cell(seed, sex)] for seed, sex in ((100, "F"), (101, "M"))}
    prepared = [prepare(grey, model.spec.preprocess, model.spec.image_size) for cell in greys.values() for grey in cell]
    length = float(np.median([one.length for one in prepared]))
    model.spec = model.spec.replace(preprocess={"length": length})
    cells = [str(seed) for seed, cell in greys.items() for _ in cell]
    measures = [measure(one, length) for one in prepared]
    reference = fit_reference(measures, cells, np.zeros(len(cells), bool), [one.light for one in prepared])
    model.info = model.info.replace(reference=reference.to_dict())
    folder = tmp_path_factory.mktemp("measured") / "weights"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def chromosomes(tmp_path_factory):
    """A folder of 30 synthetic chromosomes: 10 cells of 3 classes, with a manifest."""
    return tiny_set(tmp_path_factory.mktemp("chromosomes"))
