"""`python -m mezzo` is the command `mezzo`."""

from mezzo.cli import main

if __name__ == "__main__":
    main()
