"""Pages for a browser, without a network: what was found, what became of it, and the sound."""

from .pages import Excerpt, page
from .sound import Track
from .table import Row, severity, table

__all__ = ["Excerpt", "Row", "Track", "page", "severity", "table"]
