"""Pages for a browser, without a network: what was found, what became of it, and the sound."""

from .files import facts, page_of_files
from .pages import Excerpt, page
from .sound import Track
from .table import Row, severity, table

__all__ = ["Excerpt", "Row", "Track", "facts", "page", "page_of_files", "severity", "table"]
