"""`python -m kirsch`: the same as the command `kirsch`."""

from kirsch.cli import main

if __name__ == "__main__":
    main(prog_name="kirsch")
