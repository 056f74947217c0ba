"""Training jobs: their store, limits, uploads, status, supervisor, and the one service in front of them."""
