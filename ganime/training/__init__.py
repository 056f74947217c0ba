"""A run from its first batch to its verdict: loop, losses, run folder, validation, verdict."""
