"""`python -m tests.faults.card_worker ARGUMENTS…`: a worker with a card, as far as its children know."""

import sys

from mamkit.transcode.containment import _conversation, children
from tests.failing_card import card_command

PACE = 0.1  # seconds from picture to picture once a film can be played, so that it can be killed in the middle of it

if __name__ == "__main__":
    command = card_command(pace=PACE)
    for module in (children, _conversation):
        vars(module)["COMMAND"] = command
    from mamkit_apps.cli import main

    sys.argv[1:] = ["worker", *sys.argv[1:]]
    main()
