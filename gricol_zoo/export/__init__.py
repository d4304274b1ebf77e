"""Export models to ONNX, to pt2 of torch.export, and to int8 of ONNX Runtime; a file is only written if it passes a check."""

from gricol_zoo.export.reader import ExportedModel, open_exported
from gricol_zoo.export.write import FORMATS, export_model

__all__ = ["FORMATS", "ExportedModel", "export_model", "open_exported"]
