"""`python -m zhiyin` is the command line."""

from zhiyin.cli import main

main()
