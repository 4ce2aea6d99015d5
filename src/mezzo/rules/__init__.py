"""Shape, dtype and iteration rules and sample inputs: pure functions on tuples."""
