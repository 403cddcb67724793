"""The network: an encoder with a head for each entity type."""
