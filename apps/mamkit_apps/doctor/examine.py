"""Runs the checks: all at once, each with a time limit, and none that stops the others."""

import threading
from collections.abc import Sequence
from dataclasses import replace

from mamkit.errors import MamkitError
from mamkit_apps.doctor import data, machine, network
from mamkit_apps.doctor.findings import Check, Finding, Patient, failed, skipped

__all__ = ["CHECKS", "examine"]

CHECKS: Sequence[Check] = (*machine.CHECKS, *data.CHECKS, *network.CHECKS)
"""All checks, in the order in which they are told."""

ALWAYS = frozenset({"settings", "python"})
"""The names of those that need no usable settings."""

TIME_LIMIT = 30.0  # seconds; the encoder's trial takes 2 to 5, and 20 on a machine that has other work


def examine(patient: Patient, *, time_limit: float = TIME_LIMIT) -> list[Finding]:
    """Return what every check found, in their order.

    Args:
        patient: The installation.
        time_limit: Seconds after which a check that has not ended counts as failed.
    """
    names = [check.__name__.replace("_", "-") for check in CHECKS]
    found: dict[str, Finding] = {}

    def look(name: str, check: Check) -> None:
        found[name] = patient.discreet(replace(_run(name, check, patient), check=name))

    threads = [
        threading.Thread(target=look, args=pair, name=f"doctor-{pair[0]}", daemon=True)
        for pair in zip(names, CHECKS, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(time_limit)  # they run side by side, so that the sum of these waits is about one of them
    late = failed(
        f"no answer within {time_limit:.0f} s", "see that the server runs, and that the network lets it answer"
    )
    return [found.get(name) or replace(late, check=name) for name in names]


def _run(name: str, check: Check, patient: Patient) -> Finding:
    if patient.settings is None and name not in ALWAYS:
        return skipped("the settings cannot be used")
    try:
        return check(patient)
    except MamkitError as error:
        return failed(str(error), f"see docs/reference/errors.md for {error.code}")
    except Exception as error:  # whatever it is, what was tried does not work
        return failed(f"{type(error).__name__}: {error}", "this is unexpected; please report it with this line")
