"""Passkeys (WebAuthn Level 2): a device signs a question of ours, and only at our site."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from mamkit.auth.errors import PasskeyRefusedError
from mamkit.errors import MissingExtraError

try:
    import webauthn
    from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
    from webauthn.helpers.exceptions import WebAuthnException
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )
except ImportError as error:
    raise MissingExtraError("auth", package="webauthn") from error

__all__ = ["Passkey", "PasskeyQuestion", "Passkeys"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """What is kept of a passkey; none of it is a secret."""

    credential_id: bytes
    public_key: bytes = field(repr=False)
    """As COSE."""
    sign_count: int
    """Of the device; many devices always say 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyQuestion:
    """What a device is asked."""

    options: dict[str, Any]
    """For `navigator.credentials.create` or `.get`, as `parseCreationOptionsFromJSON` takes them."""
    challenge: str
    """To be kept on the server until the answer comes, and to be used once (`mamkit.auth.Flows`)."""


class Passkeys:
    """Registers passkeys and logs in with them.

    The device must verify its user (by PIN, finger or face): so a passkey is two factors in one, and enough by itself.

    Args:
        rp_id: The site's domain, e.g. `video.example.org`.
        rp_name: What devices show.
        origins: Where the site's pages come from, e.g. `https://video.example.org`.
    """

    def __init__(self, *, rp_id: str, rp_name: str, origins: Iterable[str]) -> None:
        self._rp_id = rp_id
        self._rp_name = rp_name
        self._origins = list(origins)

    def begin_registration(
        self, *, user_id: UUID, user_name: str, display_name: str, known: Iterable[bytes] = ()
    ) -> PasskeyQuestion:
        """Ask for a new passkey.

        Args:
            user_id: Whose it will be.
            user_name: What the device shows, e.g. the address.
            display_name: The same, for people.
            known: Credential ids that the user has already: such a device is not asked again.
        """
        options = webauthn.generate_registration_options(
            rp_id=self._rp_id,
            rp_name=self._rp_name,
            user_id=user_id.bytes,
            user_name=user_name,
            user_display_name=display_name or user_name,
            exclude_credentials=[PublicKeyCredentialDescriptor(id=credential) for credential in known],
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,  # so that nobody types a name to log in
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
        )
        return _question(options)

    def finish_registration(self, credential: Mapping[str, Any], *, challenge: str) -> Passkey:
        """Return the new passkey, if the device answered this question at this site.

        Raises:
            PasskeyRefusedError: It did not.
        """
        try:
            verified = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=base64url_to_bytes(challenge),
                expected_rp_id=self._rp_id,
                expected_origin=self._origins,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, LookupError, AttributeError) as error:
            raise PasskeyRefusedError from error
        return Passkey(
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
        )

    def begin_login(self) -> PasskeyQuestion:
        """Ask whichever device has a passkey of this site."""
        return _question(
            webauthn.generate_authentication_options(
                rp_id=self._rp_id, user_verification=UserVerificationRequirement.REQUIRED
            )
        )

    def credential_id(self, credential: Mapping[str, Any]) -> bytes:
        """Return which passkey an answer names, to look it up by.

        Raises:
            PasskeyRefusedError: It names none.
        """
        try:
            return base64url_to_bytes(credential["rawId"])
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise PasskeyRefusedError from error

    def finish_login(self, credential: Mapping[str, Any], *, challenge: str, passkey: Passkey) -> int:
        """Return the device's new count, if it answered this question at this site with this passkey.

        Raises:
            PasskeyRefusedError: It did not, or its count did not grow: the passkey was copied (WebAuthn section 6.1.1).
        """
        try:
            verified = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=base64url_to_bytes(challenge),
                expected_rp_id=self._rp_id,
                expected_origin=self._origins,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, LookupError, AttributeError) as error:
            raise PasskeyRefusedError from error
        return verified.new_sign_count


def _question(options: Any) -> PasskeyQuestion:
    return PasskeyQuestion(
        options=json.loads(webauthn.options_to_json(options)), challenge=bytes_to_base64url(options.challenge)
    )
