"""Models that leave Python: ONNX, torch.export's pt2, and int8 by ONNX Runtime, each checked before its file appears."""

from gricol_zoo.export.reader import ExportedModel, open_exported
from gricol_zoo.export.write import FORMATS, export_model

__all__ = ["FORMATS", "ExportedModel", "export_model", "open_exported"]
