"""Models as files: checkpoints, the hub, foreign generators, and models of another size."""
