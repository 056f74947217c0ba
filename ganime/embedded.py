"""Where the weights that come with Ganime are."""

from __future__ import annotations

from pathlib import Path

PACKAGED = Path(__file__).resolve().parent / "weights"  # in an installed package
CHECKOUT = Path(__file__).resolve().parent.parent / "weights"  # in a clone of the repository
WEIGHTS = PACKAGED if PACKAGED.is_dir() else CHECKOUT

EMBEDDED = WEIGHTS / "anime-128"  # the default model
TRAINING_FACES = WEIGHTS / "anime-faces"  # the embedded model's training faces as numbers, for `copies`
FEATURES = WEIGHTS / "anime-features"  # the feature network that measures faces
CRITIC_EYES = WEIGHTS / "anime-critic"  # the feature network that the critic looks through, not the one that measures
BROAD_EYES = WEIGHTS / "broad-eyes"  # a MobileNetV2 that the critic looks through
FACE_DETECTOR = WEIGHTS / "face-detector"  # finds the faces in whole drawings
UPSCALER = WEIGHTS / "real-cugan" / "model.safetensors"  # Real-CUGAN, which enlarges drawings
