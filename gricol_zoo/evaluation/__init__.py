"""Evaluate models: metrics, reports, cross-validated predictions, significance tests."""
