"""Storage and views, the tape, the door, the record and its families, Tensor."""
