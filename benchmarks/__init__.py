"""What a day costs, measured against the database's own COPY of the same rows: `make bench`."""
