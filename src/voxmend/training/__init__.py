"""What trains: the loop, recipes, corpora and how these are split."""
