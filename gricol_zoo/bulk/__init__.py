"""Large-scale prediction: classifiers of column batches for engines such as Ray Data and Spark, and prediction on Ray Data."""

from gricol_zoo.bulk.columns import ColumnClassifier, ColumnMeasurer

__all__ = ["ColumnClassifier", "ColumnMeasurer"]
