"""What the released weights are worth: scores, trust, whole cells, other cameras."""
