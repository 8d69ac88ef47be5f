"""The command `voxmend`: one file a family of verbs."""
