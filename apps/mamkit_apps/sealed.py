"""What lies sealed in the database: in which tables, under which names, and sealing it anew with the newest key.

Whoever keeps another sealed value names it here, or a change of `SEALING_KEYS` loses it.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from mamkit.auth import SealedValueError, Vault
from mamkit.catalog import Catalog, KeptAnswer, SecondFactor
from mamkit.catalog.event_models import WebhookEndpoint
from mamkit.catalog.import_models import Import
from mamkit.catalog.models import Base

__all__ = ["ANSWERS", "IMPORTS", "SEALED", "SECOND_FACTORS", "WEBHOOKS", "Sealed", "reseal"]

PAGE = 100  # rows of one transaction; answers have up to a megabyte each


@dataclass(frozen=True, slots=True)
class Sealed:
    """Columns of a table whose values are sealed."""

    table: type[Base]
    kind: str
    columns: tuple[str, ...]

    def where(self, *key: object) -> str:
        """Return the name that the values of a row are sealed under, by its primary key; see `Vault.seal`."""
        return ":".join((self.kind, *map(str, key)))


SECOND_FACTORS = Sealed(SecondFactor, "totp", ("sealed_secret",))
WEBHOOKS = Sealed(WebhookEndpoint, "webhook", ("secret", "old_secret"))
IMPORTS = Sealed(Import, "import", ("sealed",))
ANSWERS = Sealed(KeptAnswer, "answer", ("content",))
SEALED = (SECOND_FACTORS, WEBHOOKS, IMPORTS, ANSWERS)


async def reseal(catalog: Catalog, vault: Vault) -> tuple[int, int]:
    """Seal everything with the newest key; return how many values that were, and of how many the key is gone."""
    found = [await _reseal_table(catalog, vault, sealed) for sealed in SEALED]
    return sum(done for done, _ in found), sum(lost for _, lost in found)


async def _reseal_table(catalog: Catalog, vault: Vault, sealed: Sealed) -> tuple[int, int]:
    key = tuple(sa.inspect(sealed.table).primary_key)
    query = sa.select(sealed.table).order_by(*key).limit(PAGE).with_for_update()
    last: tuple[object, ...] = ()
    done = lost = 0
    while True:
        async with catalog.begin() as session:
            rows = (await session.scalars(query.where(sa.tuple_(*key) > last) if last else query)).all()
            for row in rows:
                last = tuple(getattr(row, column.name) for column in key)
                for column in sealed.columns:
                    value = getattr(row, column)
                    try:
                        if value is not None and not vault.is_current(value):
                            setattr(row, column, vault.reseal(value, where=sealed.where(*last)))
                            done += 1
                    except SealedValueError:
                        lost += 1
        if len(rows) < PAGE:
            return done, lost
