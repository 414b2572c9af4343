"""Data products as publishers manage them: what they are, how versions come to be, and what is released."""
