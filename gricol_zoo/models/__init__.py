"""Networks: their parts (backbones, splitters, heads, overviews), the two forms built of them, and the names they go by."""
