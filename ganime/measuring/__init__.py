"""Quality, variety and originality of faces: distances, the report, copies, feature training."""
