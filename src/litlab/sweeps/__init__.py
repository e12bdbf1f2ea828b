"""What walks over many runs, and what comes of them."""
