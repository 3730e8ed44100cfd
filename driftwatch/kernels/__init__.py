"""Hand-written kernels for scoring, compiled on the machine that runs them."""
