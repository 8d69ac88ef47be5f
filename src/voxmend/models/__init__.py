"""Networks on disk: files, cards, checkpoints of others, and what a network costs."""
