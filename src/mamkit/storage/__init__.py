"""Object stores behind one contract, and the zones that an asset goes through.

A store keeps bytes under keys: `MemoryStore` for tests, `LocalStore` in a folder, `S3Store` (in `mamkit.storage.s3`,
extra `s3`) in a bucket; `PrefixStore`, `ObservedStore` and `CachedStore` wrap any of them. What each can do is said by
small Protocols (`ObjectStore`, `SignsUploads`, …); `mamkit.testing.storage` holds the suite for a store of yours.

    from mamkit.storage import LocalStore

    store = LocalStore("objects")
    store.put("films/intro.mp4", b"...", content_type="video/mp4")
    with store.get("films/intro.mp4") as body:
        print(body.info.size, body.read())
"""

from mamkit.storage.aio import AsyncBody, AsyncStore, AsyncUpload, to_async
from mamkit.storage.cache import CachedStore
from mamkit.storage.digest import sha256_of
from mamkit.storage.errors import (
    InvalidKeyError,
    InvalidMetadataError,
    InvalidRangeError,
    MasterConflictError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectRetainedError,
    RangeNotSatisfiableError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
    UnboundedUploadError,
    UnsupportedOperationError,
    UploadClosedError,
    UploadRejectedError,
)
from mamkit.storage.keeping import (
    AnswersOrigins,
    EncryptsObjects,
    ExpiresObjects,
    RemovesUnfinished,
    RetainsObjects,
)
from mamkit.storage.keys import check_key, master_key, metadata_key, preview_prefix, staging_key
from mamkit.storage.local import LocalStore
from mamkit.storage.memory import MemoryStore
from mamkit.storage.models import (
    ByteRange,
    Expected,
    ExpiryRule,
    ObjectInfo,
    OriginRule,
    PartsPlan,
    SignedForm,
    SignedRequest,
    UnfinishedUpload,
)
from mamkit.storage.observe import ObservedStore, Operation
from mamkit.storage.prefix import PrefixStore
from mamkit.storage.protocols import (
    ChangesIfMatch,
    HasLocalPath,
    ObjectBody,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    RequestSigner,
    SignsDownloads,
    SignsForms,
    SignsParts,
    SignsUploads,
    Upload,
    WritesParts,
)
from mamkit.storage.reader import ObjectFile, open_seekable
from mamkit.storage.transfer import (
    Downloaded,
    Progress,
    download_file,
    download_unverified,
    read_ahead,
    upload_file,
)
from mamkit.storage.zones import MasterRecord, Zones, clear_staged, promote

__all__ = [
    "AnswersOrigins",
    "AsyncBody",
    "AsyncStore",
    "AsyncUpload",
    "ByteRange",
    "CachedStore",
    "ChangesIfMatch",
    "Downloaded",
    "EncryptsObjects",
    "Expected",
    "ExpiresObjects",
    "ExpiryRule",
    "HasLocalPath",
    "InvalidKeyError",
    "InvalidMetadataError",
    "InvalidRangeError",
    "LocalStore",
    "MasterConflictError",
    "MasterRecord",
    "MemoryStore",
    "ObjectBody",
    "ObjectChangedError",
    "ObjectExistsError",
    "ObjectFile",
    "ObjectInfo",
    "ObjectNotFoundError",
    "ObjectReader",
    "ObjectRetainedError",
    "ObjectStore",
    "ObjectWriter",
    "ObservedStore",
    "Operation",
    "OriginRule",
    "PartsPlan",
    "PrefixStore",
    "Progress",
    "RangeNotSatisfiableError",
    "RemovesUnfinished",
    "RequestSigner",
    "RetainsObjects",
    "SignedForm",
    "SignedRequest",
    "SignsDownloads",
    "SignsForms",
    "SignsParts",
    "SignsUploads",
    "StorageError",
    "StorageFullError",
    "StorageUnavailableError",
    "UnboundedUploadError",
    "UnfinishedUpload",
    "UnsupportedOperationError",
    "Upload",
    "UploadClosedError",
    "UploadRejectedError",
    "WritesParts",
    "Zones",
    "check_key",
    "clear_staged",
    "download_file",
    "download_unverified",
    "master_key",
    "metadata_key",
    "open_seekable",
    "preview_prefix",
    "promote",
    "read_ahead",
    "sha256_of",
    "staging_key",
    "to_async",
    "upload_file",
]
