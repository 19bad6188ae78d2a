"""The table of what is kept, counted."""

from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from mamkit.catalog.models import Base

__all__ = ["Usage"]


class Usage(Base):
    """How much of one user lies in a workspace: counted as it comes and goes, so that nobody has to look at it all."""

    __tablename__ = "usage"

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    assets: Mapped[int] = mapped_column(BigInteger, default=0)
    """Those in the trash included."""
    trashed: Mapped[int] = mapped_column(BigInteger, default=0)
    versions: Mapped[int] = mapped_column(BigInteger, default=0)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    """Bytes of all masters, those of assets in the trash included."""
