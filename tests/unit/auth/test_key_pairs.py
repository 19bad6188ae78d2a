"""Access tokens that others verify without being able to sign."""

import base64
import hmac
import json
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mamkit.auth import AccessTokens, KeyPairs, KeyPairsError, PairAlgorithm, TokenInvalidError
from mamkit.signing import KeyRing

USER, SESSION = uuid4(), uuid4()
ALGORITHMS: list[PairAlgorithm] = ["EdDSA", "ES256"]


def tokens(keys: KeyPairs | KeyRing) -> AccessTokens:
    return AccessTokens(keys, issuer="https://id.example", audience="api")


def issue(keys: KeyPairs | KeyRing) -> str:
    return tokens(keys).issue(user_id=USER, session_id=SESSION, authz_version=1, roles=["viewer"])


def segment(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_whoever_has_the_public_keys_can_verify(algorithm: PairAlgorithm) -> None:
    """With another library's reading of the JWK Set."""
    keys = KeyPairs.generate(algorithm)
    token = issue(keys)
    published = jwt.PyJWKSet.from_dict(json.loads(json.dumps(keys.jwks())))
    key = published[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=[algorithm], audience="api", issuer="https://id.example")
    assert claims["sub"] == str(USER)
    assert tokens(keys).verify(token).user_id == USER


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_published_keys_are_public(algorithm: PairAlgorithm) -> None:
    keys = KeyPairs.generate(algorithm)
    [entry] = keys.jwks()["keys"]
    assert "d" not in entry
    assert (entry["use"], entry["alg"], entry["kid"]) == ("sig", algorithm, keys.current[0])
    assert "d" in json.loads(keys.dump())["keys"][0]
    assert json.loads(keys.dump())["keys"][0]["d"] not in repr(keys)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_keys_are_written_and_read_again(algorithm: PairAlgorithm) -> None:
    keys = KeyPairs.generate(algorithm)
    assert tokens(KeyPairs.parse(keys.dump())).verify(issue(keys)).user_id == USER


def test_keys_change_without_a_gap_and_from_one_algorithm_to_the_other() -> None:
    old = KeyPairs.generate("ES256")
    token = issue(old)
    both = old.rotated("EdDSA")
    assert jwt.get_unverified_header(issue(both))["alg"] == "EdDSA"
    assert len(both) == 2
    assert tokens(both).verify(token).user_id == USER
    with pytest.raises(TokenInvalidError):
        tokens(both.retired(next(iter(old)))).verify(token)


def test_attack_hs_rs_confusion_public_key_as_hmac_secret() -> None:
    """The classic confusion (RFC 8725 section 2.1): HS256 with the published key, in each form it can be had in."""
    for algorithm in ALGORITHMS:
        keys = KeyPairs.generate(algorithm)
        public = keys[keys.current[0]]
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for secret in (pem, json.dumps(keys.jwks()["keys"][0]).encode()):
            header = segment(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": keys.current[0]}).encode())
            signed = f"{header}.{issue(keys).split('.')[1]}"
            with pytest.raises(TokenInvalidError, match="algorithm"):
                tokens(keys).verify(f"{signed}.{segment(hmac.digest(secret, signed.encode(), 'sha256'))}")


def test_attack_algorithm_of_another_key() -> None:
    keys = KeyPairs.generate("ES256").rotated("EdDSA")
    signing, other = list(keys)
    forged = jwt.encode(
        jwt.decode(issue(keys), options={"verify_signature": False}),
        keys.current[1],
        algorithm="EdDSA",
        headers={"kid": other, "typ": "at+jwt"},
    )
    assert signing != other
    with pytest.raises(TokenInvalidError, match="not that of its key"):
        tokens(keys).verify(forged)


def test_attack_token_of_the_other_family_of_algorithms() -> None:
    for ours, theirs in ((KeyPairs.generate(), KeyRing.generate()), (KeyRing.generate(), KeyPairs.generate())):
        with pytest.raises(TokenInvalidError, match="algorithm"):
            tokens(ours).verify(issue(theirs))


def test_attack_one_changed_character() -> None:
    keys = KeyPairs.generate()
    token, verifier = issue(keys), tokens(keys)
    verifier.verify(token)  # from here on the header is known
    for position in range(len(token) - 1):
        changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        with pytest.raises(TokenInvalidError):
            verifier.verify(changed)


def test_a_retired_key_is_no_good_to_a_verifier_that_has_seen_it() -> None:
    """What is remembered of headers is never a key."""
    old = KeyRing.generate()
    token = issue(old)
    both = old.rotated()

    class Changing:
        ring = both

        @property
        def current(self) -> tuple[str, bytes]:
            return self.ring.current

        def __getitem__(self, kid: str, /) -> bytes:
            return self.ring[kid]

    keys = Changing()
    verifier = AccessTokens(keys, issuer="https://id.example", audience="api", lifetime=timedelta(minutes=15))
    assert verifier.verify(token).user_id == USER
    keys.ring = both.retired(old.current[0])
    with pytest.raises(TokenInvalidError, match="not known"):
        verifier.verify(token)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"keys": []}', '{"keys": [{"kid": "a", "kty": "oct"}]}', "[" * 10_000]
)
def test_what_is_no_set_of_keys_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(KeyPairsError) as caught:
        KeyPairs.parse(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_published_keys_sign_nothing_and_are_refused(algorithm: PairAlgorithm) -> None:
    """Whoever gives the public set instead of the private one is told at the start."""
    with pytest.raises(KeyPairsError, match="no private key"):
        KeyPairs.parse(json.dumps(KeyPairs.generate(algorithm).jwks()))


def test_keys_of_other_kinds_are_refused() -> None:
    for key in (ec.generate_private_key(ec.SECP384R1()), ed448.Ed448PrivateKey.generate()):
        with pytest.raises(KeyPairsError):
            KeyPairs({"k": key})  # type: ignore[dict-item]
