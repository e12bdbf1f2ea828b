"""Jobs of a sweep that are trained as one: which can be, how many at once, and the training."""
