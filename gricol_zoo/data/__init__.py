"""Image files and tables: reading, preprocessing, augmentation, splitting."""
