"""The reference services of mamkit: API, edge and worker, and the command line that starts them.

They hold no logic that somebody could want in an application of theirs; that lives in `mamkit`.
"""
