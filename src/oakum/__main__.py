"""``python -m oakum``."""

from oakum.cli.app import main

if __name__ == "__main__":
    main()
