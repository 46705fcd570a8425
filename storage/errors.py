"""What can go wrong with a database or a file, each as one line for the user."""


class StorageError(Exception):
    """A database that is locked, full, read-only, corrupt, foreign, or of another schema."""


class PassingError(StorageError):
    """What may succeed when it is tried again: a lost connection, a deadlock, a disk error."""


class StudyGoneError(StorageError):
    """The study, or a trial of it, was deleted while it was in use."""


class ArtifactError(Exception):
    """A stored file that is missing, damaged or not what its name promises."""
