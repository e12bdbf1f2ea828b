"""The optimizer step, and what executes it."""
