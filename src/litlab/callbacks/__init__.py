"""What watches one run."""
