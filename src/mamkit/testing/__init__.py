"""Contract suites that a store, a queue or a session store of yours can run, as mamkit's own do.

Each is a module of its own, so that the suite of one part needs no other: `mamkit.testing.storage`,
`mamkit.testing.jobs`, `mamkit.testing.sessions`, `mamkit.testing.logins`. Inherit its class, give the fixture it asks
for, and run pytest.
"""
