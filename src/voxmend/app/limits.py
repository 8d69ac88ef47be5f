"""What one visitor may ask of the server."""

from dataclasses import dataclass

KEPT_SECONDS = 3600.0  # after the last use of a recording
UNSEEN_SECONDS = 600.0  # the same where nothing has begun to examine it
MOST_RECORDINGS = 100  # that are kept at a time
MOST_DRAWS, MOST_VOICES = 8, 50


@dataclass(frozen=True)
class Limits:
    """Of one recording, and of how many are worked on at a time."""

    minutes: float = 10.0
    """A recording may last so long."""
    megabytes: float = 200.0
    """A file may be so large."""
    concurrency: int = 1
    """So many are mended at the same time; others wait in a queue."""

    def check(self) -> None:
        """Raises ValueError for limits that let nothing through."""
        for name in ("minutes", "megabytes"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"--max-{name} {getattr(self, name):g}: give a number above 0")
        if self.concurrency < 1:
            raise ValueError("--concurrency must be at least 1")

    @property
    def bytes(self) -> int:
        """Of a file."""
        return round(self.megabytes * 1e6)

    def check_length(self, name: str, seconds: float) -> None:
        """Raises ValueError for a recording that is too long."""
        if seconds > 60 * self.minutes:
            raise ValueError(f"{name}: lasts {seconds / 60:.1f} minutes, and at most "
                             f"{self.minutes:g} are taken here: cut it, or use the command on a "
                             "machine of your own")

    def check_size(self, name: str, size: int) -> None:
        """Raises ValueError for a file that is too large."""
        if size > self.bytes:
            raise ValueError(f"{name}: larger than the {self.megabytes:g} MB that are taken here: "
                             "cut it, or use the command on a machine of your own")
