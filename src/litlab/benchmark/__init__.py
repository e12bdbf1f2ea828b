"""litlab beside other loops, and experiments over seeds."""
