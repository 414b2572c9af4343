"""What the control plane remembers: models, their migrations, and the way to them."""
