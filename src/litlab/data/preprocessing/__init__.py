"""What is learned from the training split and kept in the run: encodings, statistics, the look of images."""
