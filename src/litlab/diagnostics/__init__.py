"""Rules that say what is wrong with data or a run, and what to try."""
