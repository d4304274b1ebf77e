"""How good the released weights are: scores, calibration, whole cells, other cameras."""
