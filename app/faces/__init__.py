"""Faces for visitors: the library of models, the studio that draws, and long work in slices."""
