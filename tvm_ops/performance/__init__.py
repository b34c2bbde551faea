"""How fast the networks' layers are against the peers, from the logs, and held to the goals."""
