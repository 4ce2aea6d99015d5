"""What `mezzo bench` measures: rows of work, how they are timed, the table and the picture."""
