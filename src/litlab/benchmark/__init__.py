"""litlab compared with other loops, and experiments over seeds."""
