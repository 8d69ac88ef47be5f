"""Transforms of signals and ways to damage them, with no network."""
