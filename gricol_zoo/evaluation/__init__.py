"""How good a model is: metrics, reports, cross-validated predictions, significance."""
