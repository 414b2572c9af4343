"""The launcher: the one process with the Docker socket. Typed specifications in, hardened containers out."""
