"""A pytest plugin: timm's own tests/test_models.py on our names, at full size.

It is loaded with ``-p only_ours`` before collection. timm's lists are narrowed to our names, its filter by module is dropped
(it is a list of timm's own files), and its size limits are raised so that nothing is skipped for its size. What some of our
models cannot do is listed in ``LEFT_OUT``, with the reason; nothing else is.
"""

import timm
import timm.models

import gricol_zoo.timm_bridge

LIMITS = ("MAX_FWD_SIZE", "MAX_BWD_SIZE", "MAX_JIT_SIZE", "MAX_FFEAT_SIZE", "MAX_FWD_FX_SIZE", "MAX_BWD_FX_SIZE")
OURS = set(gricol_zoo.timm_bridge.BRIDGED)
ONE_LEVEL = {
    *("mmhpn_r50", "multiregion_r50", "cirnet", "cirnet_pooled", "hu2019", "sharma2017", "siamese2017"),
    *("abn_r50", "bcnn_vgg16", "dcl_r50", "ntsnet_r50"),
    *("hrnet_w18_joints", "kernelpool_r50", "maskcnn_r50", "racnn_r50", "varifocal_r50"),
}
LEFT_OUT = {
    # Whole networks with one map or vector at the end; timm asks for four levels or more.
    "test_model_forward_features": ONE_LEVEL,
    "test_model_forward_intermediates_features": ONE_LEVEL,
    "test_model_forward_intermediates": ONE_LEVEL,
    # The region proposals are trained only by their ranking, and the parts by the axis: logits give them no gradient.
    "test_model_backward": {"maskcnn_r50", "ntsnet_r50"},
    "test_model_backward_fx": {"maskcnn_r50", "ntsnet_r50"},
    "test_prune_intermediate_layers_contract": {"maskcnn_r50", "ntsnet_r50"},
}
every_model = timm.list_models


def list_models(filter="", module="", **options):
    names = every_model(filter, **options)
    return [name for name in names if name.split(".")[0] in OURS]


timm.list_models = timm.models.list_models = list_models


def pytest_collection_modifyitems(items):
    for item in items:
        for limit in LIMITS:
            if hasattr(item.module, limit):
                setattr(item.module, limit, 456)
    # The other tests name timm's own models.
    ours = [item for item in items if any(f"[{name}" in item.name or f"-{name}" in item.name for name in OURS)]
    items[:] = [item for item in ours if not left_out(item.name)]


def left_out(test):
    what, _, parameters = test.rstrip("]").partition("[")
    return parameters.split("-")[-1].split(".")[0] in LEFT_OUT.get(what, ())


def pytest_terminal_summary(terminalreporter):
    counts = {name: {"passed": 0, "failed": 0, "skipped": 0} for name in sorted(OURS)}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            if report.when == "call" or outcome == "skipped":
                label = report.nodeid.rsplit("[", 1)[-1].rstrip("]").split("-")[-1].split(".")[0]
                counts[label][outcome] += 1
    terminalreporter.write_line("timm's tests, by model (passed/failed/skipped):")
    for name, count in counts.items():
        terminalreporter.write_line(f"  {name:<28} {count['passed']}/{count['failed']}/{count['skipped']}")
