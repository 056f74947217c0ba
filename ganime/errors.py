"""Every error that Ganime raises on purpose; each message says what was given, what is needed and how to fix it.

GanimeError
├── ConfigError        a setting outside its range, or settings that contradict each other
├── RecipeError        a seed, truncation, count or walk that names no face
├── DataError          a folder, archive or other source of faces that cannot be read
├── CheckpointError    a model folder or weight file that is missing, damaged or has another shape
├── HubError           the hub is down, slow, private, or has no such model
└── TrainingError      a run that cannot start, continue or resume
"""


class GanimeError(Exception):
    """Base of all expected failures; its text is written to be shown to people unchanged."""


class ConfigError(GanimeError, ValueError):
    """A configuration value is outside its range, or two values contradict each other."""


class RecipeError(GanimeError, ValueError):
    """A recipe (seed, truncation, count, walk) does not name a face."""


class DataError(GanimeError):
    """The training faces cannot be found or read."""


class CheckpointError(GanimeError):
    """A checkpoint is missing, damaged, or does not match its configuration."""


class HubError(GanimeError):
    """A model could not be fetched from the Hugging Face hub."""


HUB_OFFLINE = "HF_HUB_OFFLINE keeps this program off the hub; unset it to go online."


class TrainingError(GanimeError):
    """A training run cannot start, continue or resume."""


def reason_of(error: BaseException) -> str:
    """An error in words, without the number that the system gives it: a full disk is "No space left on device"."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__
