"""The store contract in a bucket of Amazon S3, or of a server that speaks its protocol.

    from mamkit.storage.s3 import S3Options, S3Store

    store = S3Store("masters", S3Options(endpoint="https://s3.example.com"))

`mamkit.storage.s3.buckets` makes buckets, and holds them against what the zones need.
"""

from mamkit.errors import MissingExtraError

try:
    import boto3 as _  # noqa: F401 - the modules below need it, and say so less well
except ImportError as error:
    raise MissingExtraError("s3", package="boto3") from error

from mamkit.storage.s3._http import Patience
from mamkit.storage.s3._options import S3Features, S3Options
from mamkit.storage.s3.store import S3Store

__all__ = ["Patience", "S3Features", "S3Options", "S3Store"]
