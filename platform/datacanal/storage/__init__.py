"""What the stores of the control plane and of the sites are built on: SQLite, migrations, and whose each row is."""
