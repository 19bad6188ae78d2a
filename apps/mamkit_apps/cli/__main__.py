"""`python -m mamkit_apps.cli`."""

from mamkit_apps.cli import main

main()
