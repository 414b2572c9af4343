"""The child process that makes snapshots, checks them, compares them and replays requests over them."""
