"""Data sets: images with labels as concepts, read, checked, split and turned into targets."""
