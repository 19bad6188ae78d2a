"""Key pairs that sign access tokens, for those who verify without being able to sign: public keys as a JWK Set."""

import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from mamkit.auth.errors import KeyPairsError
from mamkit.errors import MissingExtraError

try:
    import jwt
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
except ImportError as error:
    raise MissingExtraError("auth", package="cryptography") from error

__all__ = ["KeyPairs", "PairAlgorithm"]

PairAlgorithm = Literal["EdDSA", "ES256"]
"""EdDSA with Ed25519 (RFC 8037 section 3.1), or ECDSA with P-256 and SHA-256 (RFC 7518 section 3.4)."""

Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
Public = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey


class KeyPairs:
    """Key pairs by key id, the newest first: it signs, all of them verify.

    To change the key, add one with `rotated`, publish, and drop the old one with `retired` when what it signed has
    expired. Immutable; its `repr` shows ids only.

    Args:
        keys: Private keys by key id: Ed25519, or on the curve P-256.

    Raises:
        KeyPairsError: There is no key, or one is of another kind.
    """

    def __init__(self, keys: Mapping[str, Private]) -> None:
        if not keys:
            raise KeyPairsError("there are none")
        self._private = dict(keys)
        self._algorithms = {kid: _algorithm(key) for kid, key in self._private.items()}
        self._public: dict[str, Public] = {kid: key.public_key() for kid, key in self._private.items()}

    def __repr__(self) -> str:
        return f"<KeyPairs {', '.join(self._private)}>"

    def __iter__(self) -> Iterator[str]:
        """Yield the key ids, the newest first."""
        return iter(self._private)

    def __len__(self) -> int:
        return len(self._private)

    def __getitem__(self, kid: str, /) -> Public:
        """Return the public key of an id; raise `KeyError` where there is none."""
        return self._public[kid]

    @property
    def current(self) -> tuple[str, Private]:
        """Id and private key of the newest pair: the one that signs."""
        return next(iter(self._private.items()))

    def algorithm(self, kid: str) -> PairAlgorithm:
        """Return the one algorithm that a key is used with, whatever a token says: RFC 8725 section 3.1."""
        return self._algorithms[kid]

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JWK Set (RFC 7517 section 5), to be published."""
        return {
            "keys": [
                {**_jwk(key), "kid": kid, "use": "sig", "alg": self._algorithms[kid]}
                for kid, key in self._public.items()
            ]
        }

    @classmethod
    def generate(cls, algorithm: PairAlgorithm = "EdDSA") -> Self:
        """Return one new pair."""
        return cls({_new_kid(): _new_key(algorithm)})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `dump` wrote: a JWK Set with private keys.

        Raises:
            KeyPairsError: It is none, or one of its keys is public, or of another kind.
        """
        try:
            keys = {str(entry["kid"]): _from_jwk(entry) for entry in json.loads(text)["keys"]}
        except (ValueError, TypeError, LookupError, RecursionError, jwt.PyJWTError):
            raise KeyPairsError("they are no JWK Set of private keys") from None
        return cls(keys)

    def dump(self) -> str:
        """Return the pairs as a JWK Set with the private keys, as `parse` reads it; a secret."""
        return json.dumps({"keys": [{**_jwk(key), "kid": kid} for kid, key in self._private.items()]})

    def rotated(self, algorithm: PairAlgorithm = "EdDSA") -> "KeyPairs":
        """Return these pairs with a new one that signs."""
        return KeyPairs({_new_kid(): _new_key(algorithm), **self._private})

    def retired(self, kid: str) -> "KeyPairs":
        """Return these pairs without one: what it signed is valid no more.

        Raises:
            KeyPairsError: It was the only one.
        """
        return KeyPairs({other: key for other, key in self._private.items() if other != kid})


def _algorithm(key: object) -> PairAlgorithm:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    raise KeyPairsError("one is no private key of Ed25519 or P-256")


def _new_key(algorithm: PairAlgorithm) -> Private:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def _new_kid() -> str:
    return f"p{secrets.token_hex(4)}"


def _jwk(key: Private | Public) -> dict[str, Any]:
    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return dict(jwt.algorithms.OKPAlgorithm.to_jwk(key, as_dict=True))
    return dict(jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True))


def _from_jwk(entry: dict[str, Any]) -> Any:
    if entry["kty"] == "OKP":
        return jwt.algorithms.OKPAlgorithm.from_jwk(entry)
    return jwt.algorithms.ECAlgorithm.from_jwk(entry)
