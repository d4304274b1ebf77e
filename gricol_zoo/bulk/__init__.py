"""Past one machine: columns in, columns out, for engines that spread batches over workers; and prediction on Ray Data."""

from gricol_zoo.bulk.columns import ColumnClassifier, ColumnMeasurer

__all__ = ["ColumnClassifier", "ColumnMeasurer"]
