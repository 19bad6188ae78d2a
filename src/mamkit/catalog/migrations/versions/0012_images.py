"""Still images are a kind of assets."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
expands = False  # code of before cannot show an asset that is an image


def upgrade() -> None:
    """Let assets be images."""
    _allow("unknown", "video", "audio", "image")


def downgrade() -> None:
    """Forget which assets are images."""
    if op.get_bind().dialect.name == "postgresql":  # where the policies of the tables hold for their owner, too
        op.execute("SELECT set_config('mamkit.scope', 'all', true)")
    op.execute("UPDATE assets SET kind = 'unknown' WHERE kind = 'image'")
    _allow("unknown", "video", "audio")


def _allow(*kinds: str) -> None:
    names = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("assets") as assets:
        assets.drop_constraint(op.f("ck_assets_kind"), type_="check")
        assets.create_check_constraint("kind", f"kind IN ({names})")
