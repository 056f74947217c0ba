"""Ganime: a DCGAN for anime faces, from noise to picture and from pictures to a model."""

__version__ = "0.1.0"
