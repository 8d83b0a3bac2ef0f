"""Which timesteps and levels are worth what."""
