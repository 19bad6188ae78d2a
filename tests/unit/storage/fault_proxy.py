"""A proxy in front of a real server that makes one connection in so many go wrong, at random but by a seed."""

import random
import socket
import struct
import time
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Self

__all__ = ["FAULTS", "FaultProxy"]

FAULTS = ("reset", "stall", "500", "503", "truncate", "drip")
"""Beside them `flip`, after which one bit of what a client sends is another, in the body of a request as a rule."""
_HEAD = 2000  # bytes; more than the head of a request has
_BLOCK = 16 * 1024  # bytes that are passed on at once
_SLOW = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>a fault of the test</Message></Error>"


class FaultProxy:
    """Passes bytes on between clients and a server of this machine.

    Args:
        port: Of the server.
        stall: Seconds for which a stalled connection says nothing: longer than the client waits.
        host: Address of this machine on which clients are waited for.
    """

    def __init__(self, port: int, *, stall: float, host: str = "127.0.0.1") -> None:
        self._server = ("127.0.0.1", port)
        self._stall = stall
        self._lock = Lock()
        self._random = random.Random(0)
        self._faults: tuple[str, ...] = ()
        self._chance = 0.0
        self._most = 0
        self._closed = Event()
        self.made: list[str] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port = self._listener.getsockname()[1]
        self._thread = Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def plan(self, seed: int, faults: tuple[str, ...], chance: float, most: int) -> None:
        """Make each connection from now on go wrong with a chance, within its first `most` bytes."""
        with self._lock:
            self._random = random.Random(seed)
            self._faults, self._chance, self._most = faults, chance, most
            self.made = []

    def _draw(self) -> tuple[str, str, int]:
        """Return which fault a connection gets, on the way of which side's bytes, and after how many of them."""
        with self._lock:
            if not self._faults or self._random.random() >= self._chance:
                return "", "", 0
            fault = self._random.choice(self._faults)
            self.made.append(fault)
            if fault == "flip":
                return fault, "up", self._random.randrange(_HEAD, self._most)
            return fault, self._random.choice(("up", "down")), self._random.randrange(self._most)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        fault, way, after = self._draw()
        with suppress(OSError), client, socket.create_connection(self._server) as server:
            if fault in {"500", "503"}:
                self._answer(client, fault)
                return
            up = Thread(target=self._pump, args=(client, server, fault if way == "up" else "", after), daemon=True)
            up.start()
            self._pump(server, client, fault if way == "down" else "", after)
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            up.join(timeout=self._stall)

    def _answer(self, client: socket.socket, fault: str) -> None:
        client.recv(_BLOCK)
        code = b"InternalError" if fault == "500" else b"SlowDown"
        body = _SLOW % code
        head = f"HTTP/1.1 {fault} Fault\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        client.sendall(head.encode() + body)

    def _pump(self, source: socket.socket, target: socket.socket, fault: str, after: int) -> None:
        passed = 0
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                if fault and passed + len(block) > after:
                    target.sendall(block[: after - passed])
                    if self._break(source, target, fault, block[after - passed :]):
                        return
                    fault = ""
                else:
                    target.sendall(block)
                passed += len(block)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _break(self, source: socket.socket, target: socket.socket, fault: str, rest: bytes) -> bool:
        """Make the fault; return whether the connection is over."""
        if fault == "drip":
            for start in range(0, len(rest), 1024):
                target.sendall(rest[start : start + 1024])
                time.sleep(0.002)
            return False
        if fault == "flip":
            target.sendall(bytes([rest[0] ^ 1]) + rest[1:])
            return False
        if fault == "stall":
            self._closed.wait(self._stall)
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)  # on, no time: a reset instead of a farewell
            for each in (source, target):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        return True
