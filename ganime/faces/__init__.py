"""Faces that people bring: reading pictures, finding duplicates, the dataset, and its audit."""
