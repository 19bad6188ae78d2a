"""Which of a machine's encoders work, and what a film begins with that a card makes: found out in a child process."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from mamkit.transcode.containment._conversation import conversation, request_for
from mamkit.transcode.containment._process import Cancellation
from mamkit.transcode.containment._receipt import parse
from mamkit.transcode.containment.children import Children
from mamkit.transcode.encoding.encoders import on_card
from mamkit.transcode.errors import ChildProtocolError, ContainmentError, EncodeError
from mamkit.transcode.limits import Limits
from mamkit.transcode.models import Codec, Device, Init, Plan

__all__ = ["choose_devices", "plan_on_card", "try_encoder"]

_MARK = re.compile("[0-9a-f]{16}")


def try_encoder(codec: Codec, device: Device, *, limits: Limits | None = None) -> str:
    """Encode some pictures in a child process, decode them again, and return a mark of the encoder.

    Encoders with the same mark write the same headers, as those of one kind of card under one driver do.

    Args:
        codec: What to make.
        device: What with.
        limits: Of the child; `Limits()` if None.

    Raises:
        EncodeError: The encoder cannot be opened, fails, or does not do what it is told.
        ContainmentError: It crashed or hung.
    """
    limits = limits or Limits()
    request = request_for("trial", os.devnull, limits, devices={codec: device})
    with conversation(request, os.devnull, limits, None) as (_, messages):
        for message in messages:
            if message.kind == "done" and isinstance(message.body, str) and _MARK.fullmatch(message.body):
                return message.body
            raise ChildProtocolError(f"the child answered a trial with {message.kind!r}")
    raise ChildProtocolError("the child did not answer")


def choose_devices(
    wish: Literal["auto", "cpu", "nvenc"], codecs: Iterable[Codec], *, limits: Limits | None = None
) -> tuple[dict[Codec, Device], tuple[str, ...]]:
    """Return what encodes each codec, and a sentence for each that is not as it was wished.

    A card is named for a codec only where it has just encoded some pictures.

    Args:
        wish: `nvenc` for a card where it works; `auto` for the same, without a word where it does not; `cpu` for none.
        codecs: What is to be made.
        limits: Of the children in which that is tried.

    Raises:
        ValueError: `wish` is none of these.
    """
    if wish not in {"auto", "cpu", "nvenc"}:
        raise ValueError(f"an encoder is auto, cpu or nvenc, not {wish!r}")
    devices: dict[Codec, Device] = {}
    notes: list[str] = []
    for codec in codecs if wish != "cpu" else ():
        try:
            try_encoder(codec, "nvenc", limits=limits)
        except (EncodeError, ContainmentError) as error:
            if wish == "nvenc":
                notes.append(f"{codec} is encoded on the processor: {error}")
        else:
            devices[codec] = "nvenc"
    return devices, tuple(notes)


def plan_on_card(
    plan: Plan,
    devices: Mapping[Codec, Device],
    *,
    limits: Limits | None = None,
    cancelled: Cancellation | None = None,
    children: Children | None = None,
) -> Plan:
    """Return a plan whose parts begin with the same headers wherever they are made, on this card or elsewhere.

    Parts in H.264 can then be made by the processors of other machines, too, and parts in other codecs by cards that
    write the same headers. The card's encoders are opened in a child process, one after the other.

    Args:
        plan: What is to be made.
        devices: What encodes each codec, as `choose_devices` found.
        limits: Of the child; `Limits()` if None.
        cancelled: Ends the work when set.
        children: Has a child process ready; None starts one.

    Raises:
        EncodeError: An encoder cannot be opened with the settings of a rendition.
        ContainmentError: It crashed or hung.
        TranscodeInterruptedError: `cancelled` was set.
    """
    limits = limits or Limits()
    names = [rendition.name for rendition in on_card(plan, devices)]
    codecs = {rendition.codec for rendition in on_card(plan, devices)}
    if not names:
        return plan
    headers: dict[str, bytes] = {}
    alone = plan.model_copy(update={"parts": ()})
    request = request_for("headers", os.devnull, limits, plan=alone.model_dump(mode="json"), devices=dict(devices))
    with conversation(request, os.devnull, limits, cancelled, children) as (_, messages):
        for message in messages:
            if message.kind == "done" and [*headers] == names:
                used = {codec: device for codec, device in devices.items() if codec in codecs}
                return plan.model_copy(update={"devices": used, "shared_headers": headers})
            if message.kind != "init":
                raise ChildProtocolError(f"the child said {message.kind!r} while it opened encoders")
            init = parse(Init, message)
            if init.rendition not in names or init.size != len(message.data):
                raise ChildProtocolError(f"the child made an initialisation segment of {init.rendition!r}, unasked")
            headers[init.rendition] = message.data
    raise ChildProtocolError("the child did not answer")
