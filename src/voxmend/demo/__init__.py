"""Mends a damaged clip that comes with the package and draws it."""
