"""Snapshots of data products: what they are on disk, how they are made, compared and read."""
