"""`python -m settlement.cli`."""

from settlement.cli import main

if __name__ == "__main__":
    main()
