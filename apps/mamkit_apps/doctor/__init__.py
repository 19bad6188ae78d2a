"""`mamkit doctor`: tries everything that an installation depends on, and says what to do about what fails.

`findings` says what a check tells, `machine`, `data` and `network` hold the checks, and `examine` runs them.
"""
