"""What Alembic is to compare with the models."""


def declared_as_such(_: object, name: str | None, kind: str, *__: object) -> bool:
    """Return whether the models declare it themselves; what makes words searchable they give as statements."""
    return not (name or "").startswith("asset_words") and (kind, name) not in {
        ("column", "document"),
        ("index", "ix_asset_texts_document"),
    }
