"""The sample bank: a deterministic generator of two lakes, and the demonstration that asks them a question."""
