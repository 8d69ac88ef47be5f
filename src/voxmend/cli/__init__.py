"""The command `voxmend`: one file a family of verbs. Heavy imports wait until a verb runs."""
