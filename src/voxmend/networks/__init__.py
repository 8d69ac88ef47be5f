"""Networks: one architecture, one file."""
