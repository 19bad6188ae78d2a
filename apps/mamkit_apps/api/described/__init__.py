"""The OpenAPI document: what Litestar finds out by itself, and what a client needs beside it.

`document` adds what every operation may answer, `models` the whole of the bodies' rules, and `examples` an example of
each.
"""

from mamkit_apps.api.described.document import described
from mamkit_apps.api.described.options import answers
from mamkit_apps.api.described.pages import JsonPage, ReadablePage, StyleSheet

__all__ = ["JsonPage", "ReadablePage", "StyleSheet", "answers", "described"]
