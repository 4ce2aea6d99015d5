"""The kernel IR and what runs it. Knows buffers and numbers, never Tensors."""
