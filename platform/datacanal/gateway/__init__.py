"""The gateway: developers call data products here. It reads the state store and the snapshots, and writes neither."""
