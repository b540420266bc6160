"""``python -m archwright.cli``."""

from archwright.cli.app import main

if __name__ == "__main__":
    main()
