"""What methods make of examples, scored and put into tables: one table, one file."""
