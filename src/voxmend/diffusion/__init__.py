"""Denoisers, the samplers that see nothing else, and the guidance that bends them."""
