"""The docs are code: their blocks run, their tables are made from the program, their links lead somewhere."""
