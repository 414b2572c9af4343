"""What runs in the containers: this folder is mounted there, read-only, at /inside."""
