"""Private attributes of other libraries, one module per library."""
