"""The part of a store's contract that is about requests for others."""

from datetime import timedelta

from mamkit.errors import MissingExtraError
from mamkit.storage import (
    Expected,
    InvalidKeyError,
    InvalidMetadataError,
    ObjectStore,
    SignsDownloads,
    SignsForms,
    SignsUploads,
    UnboundedUploadError,
    UnsupportedOperationError,
)
from mamkit.testing.storage._declared import Declared

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["SigningContract"]

_HOUR, _EXPECTED = timedelta(hours=1), Expected(size=5)


class SigningContract(Declared):
    """A store signs what it declares to sign, never without a bound, and its secrets are in no repr."""

    def test_downloads_are_signed_as_declared(self, store: ObjectStore) -> None:
        """Of keys alone; whether anything is stored under one does not matter."""
        if not self.signs_requests:
            if isinstance(store, SignsDownloads):
                with pytest.raises(UnsupportedOperationError):
                    store.sign_get("a", expires_in=_HOUR)
            return
        assert isinstance(store, SignsDownloads)
        request = store.sign_get("a", expires_in=_HOUR)
        assert request.method == "GET"
        assert request.url not in repr(request)
        with pytest.raises(InvalidKeyError):
            store.sign_get("../a", expires_in=_HOUR)

    def test_uploads_are_signed_as_declared(self, store: ObjectStore) -> None:
        """Of one key, type and size."""
        if not self.signs_requests:
            if isinstance(store, SignsUploads):
                with pytest.raises(UnsupportedOperationError):
                    store.sign_put("a", content_type="video/mp4", expected=_EXPECTED, expires_in=_HOUR)
            return
        assert isinstance(store, SignsUploads)
        request = store.sign_put("a", content_type="video/mp4", expected=_EXPECTED, expires_in=_HOUR)
        assert request.method == "PUT"
        assert request.url not in repr(request)
        with pytest.raises(UnboundedUploadError):
            store.sign_put("a", content_type="video/mp4", expected=Expected(), expires_in=_HOUR)
        with pytest.raises(InvalidMetadataError):
            store.sign_put("a", content_type="video/mp4\n", expected=_EXPECTED, expires_in=_HOUR)
        with pytest.raises(InvalidKeyError):
            store.sign_put("../a", content_type="video/mp4", expected=_EXPECTED, expires_in=_HOUR)

    def test_forms_are_signed_as_declared(self, store: ObjectStore) -> None:
        """As uploads are."""
        if not self.signs_forms:
            if isinstance(store, SignsForms):
                with pytest.raises(UnsupportedOperationError):
                    store.sign_form("a", content_type="video/mp4", expected=_EXPECTED, expires_in=_HOUR)
            return
        assert isinstance(store, SignsForms)
        form = store.sign_form("a", content_type="video/mp4", expected=_EXPECTED, expires_in=_HOUR)
        assert form.fields["content-type"] == "video/mp4"
        with pytest.raises(UnboundedUploadError):
            store.sign_form("a", content_type="video/mp4", expected=Expected(), expires_in=_HOUR)
        with pytest.raises(InvalidMetadataError):
            store.sign_form("a", content_type="video/mp4\n", expected=_EXPECTED, expires_in=_HOUR)
        with pytest.raises(InvalidKeyError):
            store.sign_form("../a", content_type="video/mp4", expected=_EXPECTED, expires_in=_HOUR)
