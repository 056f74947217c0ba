"""How good, how varied and how original faces are: distances, the report, copies, feature training."""
