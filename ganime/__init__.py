"""Ganime: a DCGAN for anime faces, from noise to picture and from pictures to a model."""

from ganime.version import __version__ as __version__
