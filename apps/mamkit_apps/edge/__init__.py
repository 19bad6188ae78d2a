"""The edge: signed delivery of previews, and signed uploads into local staging. Stateless, no database."""
