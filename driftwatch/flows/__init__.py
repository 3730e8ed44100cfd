"""The diffeomorphisms: exactly invertible maps from samples to a standard normal latent."""
