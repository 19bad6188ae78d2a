"""What a store of yours may build on: the parts that mamkit's own stores share. `examples/custom_storage` uses them.

`CheckedUpload` counts, hashes and refuses, so that a store only says where blocks go; `FileBody` reads ranges from any
file; `carry` copies from other stores.
"""

from mamkit.storage._body import BLOCK_SIZE, FileBody, found_range
from mamkit.storage._facts import check_facts
from mamkit.storage._upload import CheckedUpload, carry, check_match, feed
from mamkit.storage._wrapper import RenamedBody, StoreWrapper
from mamkit.storage.keys import check_key, check_prefix

__all__ = [
    "BLOCK_SIZE",
    "CheckedUpload",
    "FileBody",
    "RenamedBody",
    "StoreWrapper",
    "carry",
    "check_facts",
    "check_key",
    "check_match",
    "check_prefix",
    "feed",
    "found_range",
]
