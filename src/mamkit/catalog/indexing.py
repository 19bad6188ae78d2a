"""Keeping the words by which assets are found."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.models import Asset, AssetTag, Comment
from mamkit.catalog.search_models import AssetText
from mamkit.catalog.words import words_of, workspace_word

__all__ = ["index"]

_MAX_COMMENTS = 1000  # of one asset whose words count, the newest ones


async def index(session: AsyncSession, asset: Asset) -> None:
    """Write the words of an asset anew: title, description, fields, tags, file name, codec, comments."""
    await session.flush()
    tags = await session.scalars(select(AssetTag.tag).where(AssetTag.asset_id == asset.id))
    newest = select(Comment.content).where(Comment.asset_id == asset.id).order_by(Comment.id.desc())
    comments = await session.scalars(newest.limit(_MAX_COMMENTS))
    fields = [str(value) for value in asset.fields.values() if isinstance(value, str | int | float)]
    texts = [asset.title, *tags, asset.description, *fields, asset.original_name or "", asset.codec, *comments]
    words = " ".join([workspace_word(asset.workspace_id), *words_of(texts)])
    row = await session.scalar(select(AssetText).where(AssetText.asset_id == asset.id))
    if row is None:
        session.add(AssetText(asset_id=asset.id, words=words))
    else:
        row.words = words
    await session.flush()
