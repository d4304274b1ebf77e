"""Image files and tables: reading, preprocessing, augmenting, splitting."""
