"""Networks: their parts (backbones, splitters, heads, overviews), the two forms built from them, and their names."""
