"""Systems named after their papers: UnDiff, DiffSep, Diffiner, SEGAN, Conv-TasNet."""
