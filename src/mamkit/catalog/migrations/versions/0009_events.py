"""Events, webhooks with their deliveries, incidents and notifications."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
expands = False  # what code of before changes is told to nobody

MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
UNNUMBERED = sa.text("position IS NULL")

# As in migration 0003, whose policies these continue.
ALL = "(SELECT current_setting('mamkit.scope', true)) = 'all'"
WORKSPACES = "ANY (string_to_array((SELECT current_setting('mamkit.workspaces', true)), ',')::uuid[])"
NOW = "(SELECT current_setting('mamkit.now', true))::timestamptz"
SEEN_EVENT = f"""
    workspace_id = {WORKSPACES}
    OR asset_id = ANY (string_to_array((SELECT current_setting('mamkit.assets', true)), ',')::uuid[])
    OR asset_id IN (
        SELECT asset_id FROM shares
        WHERE user_id = nullif((SELECT current_setting('mamkit.actor', true)), '')::uuid
        AND (expires_at IS NULL OR expires_at > {NOW})
    )
"""  # noqa: S608 - of constants
POLICIES = {
    "events": SEEN_EVENT,
    "webhook_endpoints": f"workspace_id = {WORKSPACES}",
    "webhook_deliveries": f"workspace_id = {WORKSPACES}",
}


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", NUMBER, nullable=False, autoincrement=True),
        sa.Column("position", sa.BigInteger),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("asset_id", sa.Uuid),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("position", name=op.f("uq_events_position")),
    )
    op.create_index(op.f("ix_events_workspace_id_position"), "events", ["workspace_id", "position"])
    op.create_index(op.f("ix_events_created_at"), "events", ["created_at"])
    op.create_index("ix_events_unnumbered", "events", ["id"], postgresql_where=UNNUMBERED, sqlite_where=UNNUMBERED)
    counter = op.create_table(
        "event_counter",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("purged", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_counter")),
    )
    op.bulk_insert(counter, [{"id": 1, "position": 0, "purged": 0}])


def _webhooks() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("description", sa.String(200), nullable=False),
        sa.Column("kinds", sa.JSON, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("old_secret", sa.Text),
        sa.Column("old_secret_until", MOMENT),
        sa.Column("disabled_reason", sa.String(100)),
        sa.Column("failing_since", MOMENT),
        sa.Column("lease", sa.Uuid),
        sa.Column("lease_until", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_webhook_endpoints_workspace_id_workspaces"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(op.f("ix_webhook_endpoints_workspace_id"), "webhook_endpoints", ["workspace_id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("endpoint_id", sa.Uuid, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("position", sa.BigInteger),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.String(200)),
        sa.Column("attempted_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("endpoint_id", "position", name=op.f("uq_webhook_deliveries_endpoint_id_position")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name=op.f("fk_webhook_deliveries_endpoint_id_webhook_endpoints"),
            ondelete="CASCADE",
        ),
    )
    for columns in (["endpoint_id", "id"], ["state", "due_at"], ["created_at"]):
        op.create_index(op.f(f"ix_webhook_deliveries_{'_'.join(columns)}"), "webhook_deliveries", columns)


def _notifications() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("open_key", sa.String(200)),
        sa.Column("workspace_id", sa.Uuid),
        sa.Column("asset_id", sa.Uuid),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT),
        sa.Column("escalated_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("open_key", name=op.f("uq_incidents_open_key")),
    )
    op.create_index(op.f("ix_incidents_opened_at"), "incidents", ["opened_at"])
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.Uuid),
        sa.Column("asset_id", sa.Uuid),
        sa.Column("incident_id", sa.Uuid),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("read_at", MOMENT),
        sa.Column("mail_due_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notifications_user_id_users"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_notifications_incident_id_incidents"), ondelete="SET NULL"
        ),
    )
    for columns in (["user_id", "id"], ["mail_due_at"], ["created_at"], ["incident_id"]):
        op.create_index(op.f(f"ix_notifications_{'_'.join(columns)}"), "notifications", columns)
    op.create_table(
        "notification_settings",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("mail_kinds", sa.JSON, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_notification_settings")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notification_settings_user_id_users"), ondelete="CASCADE"
        ),
    )


def upgrade() -> None:
    """Make the tables; what happened before is not told."""
    _events()
    _webhooks()
    _notifications()
    with op.batch_alter_table("previews") as previews:
        previews.add_column(sa.Column("told_at", MOMENT))
    if op.get_bind().dialect.name == "postgresql":
        for table, seen in POLICIES.items():
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")  # for the tables' owner too
            op.execute(f"CREATE POLICY scope ON {table} USING ({ALL} OR {seen})")


def downgrade() -> None:
    """Drop them, with what was to be told."""
    with op.batch_alter_table("previews") as previews:
        previews.drop_column("told_at")
    for table in (
        "notification_settings",
        "notifications",
        "incidents",
        "webhook_deliveries",
        "webhook_endpoints",
        "event_counter",
        "events",
    ):
        op.drop_table(table)
