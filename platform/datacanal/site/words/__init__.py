"""What attempts said: the engine's own words, which may quote data. Reading them elsewhere is a release."""
