"""Jobs that are submitted by themselves: when they are due, whose turn it is, and what became of them."""
