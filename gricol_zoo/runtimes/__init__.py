"""Other runtimes for the lower branch: ``make_runner`` turns a model into a callable of ONNX Runtime or OpenVINO."""

from gricol_zoo.runtimes.choose import RUNTIMES, make_runner
from gricol_zoo.runtimes.runner import Runner

__all__ = ["RUNTIMES", "Runner", "make_runner"]
