"""Families of records: what the members of each have in common, said once."""
