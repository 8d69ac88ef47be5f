"""Clusters of Ray: sessions with them, and recordings in the rows of their data sets."""

from .rows import restore
from .session import check

__all__ = ["check", "restore"]
