"""Backups: everything that cannot be made again, in files that another machine and another database can read.

`places` says where the files lie, `sealing` encrypts them, `archive` knows which files there are and that none was
changed, `tables` turns rows into lines and back, and `making` and `restoring` put it together. The format stands in
docs/guides/backup.md.
"""
