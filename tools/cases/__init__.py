"""What the tools replay: damage as it comes, files as people have them, and the command itself."""
