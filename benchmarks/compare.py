"""mezzo against PyTorch and JAX on this machine: the same as `mezzo bench`, whose options it takes."""

from __future__ import annotations

from mezzo.cli.bench import command

if __name__ == "__main__":
    command()
