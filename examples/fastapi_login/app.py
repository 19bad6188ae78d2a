"""Registration, login and rotating sessions for a FastAPI application: `uvicorn app:app`.

Of mamkit it needs `mamkit[auth]` alone. Clients keep two tokens: an access token for 15 minutes, sent as
`Authorization: Bearer …`, and a refresh token, which `/refresh` exchanges for the next pair.
"""

import os
import sqlite3
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from mamkit.auth import (
    AccessClaims,
    AccessTokens,
    AuthError,
    InvalidCredentialsError,
    KeyPairs,
    LockedOutError,
    Lockout,
    PasswordHasher,
    SessionGrant,
    Sessions,
    TokenInvalidError,
    check_strength,
)
from mamkit.auth.sql import SqlSessionStore, sessions_table
from mamkit.auth.sql_logins import SqlAttemptStore, attempts_table
from mamkit.ids import uuid7

DATABASE = os.environ.get("DATABASE", "users.db")
SECRET = os.environ["SESSION_SECRET"].encode()  # at least 32 random bytes, the same in all processes

engine = sa.create_engine(f"sqlite:///{DATABASE}", connect_args={"timeout": 10})
metadata = sa.MetaData()
sessions = Sessions(SqlSessionStore(engine, sessions_table(metadata)), secret=SECRET)
lockout = Lockout(SqlAttemptStore(engine, attempts_table(metadata)))
users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("email", sa.String(254), unique=True, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
)
metadata.create_all(engine)

passwords = PasswordHasher()
# New keys at every start are enough for one process: clients refresh. Several processes share a `KeyPairs.dump()`.
key_pairs = KeyPairs.generate()
tokens = AccessTokens(key_pairs, issuer="https://id.example.org", audience="api")
bearer = HTTPBearer(auto_error=False)
app = FastAPI(title="A login")


class Login(BaseModel):
    """What somebody types."""

    email: str
    password: str


class Refresh(BaseModel):
    """A refresh token."""

    refresh_token: str


@app.exception_handler(AuthError)
def refuse(_: Request, error: AuthError) -> JSONResponse:
    """Say what was wrong, with a code that programs may switch on."""
    status = 429 if isinstance(error, LockedOutError) else 400 if isinstance(error, ValueError) else 401
    return JSONResponse({"code": error.code, "detail": str(error)}, status_code=status)


def caller(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> AccessClaims:
    """Return who sent a request."""
    if sent is None:
        raise TokenInvalidError("there is none")
    return tokens.verify(sent.credentials)


@app.post("/register", status_code=201)
def register(login: Login) -> dict[str, str]:
    """Make an account."""
    check_strength(login.password, about=[login.email])
    user_id, digest = uuid7(), passwords.hash(login.password)
    try:
        with engine.begin() as connection:
            connection.execute(sa.insert(users).values(id=user_id, email=login.email.casefold(), password_hash=digest))
    except sa.exc.IntegrityError as error:
        if isinstance(error.orig, sqlite3.IntegrityError):
            raise InvalidCredentialsError from None  # the address is taken; a mail to it could say so
        raise
    return answer(sessions.start(user_id))


@app.post("/login")
def log_in(login: Login, request: Request) -> dict[str, str]:
    """Exchange address and password for tokens."""
    email = login.email.casefold()
    with lockout.attempt(account=email, address=request.client.host if request.client else None):
        with engine.connect() as connection:
            user = connection.execute(sa.select(users).where(users.c.email == email)).first()
        passwords.verify(user.password_hash if user else None, login.password)  # None costs and says the same
        if user is None:
            raise InvalidCredentialsError
    if passwords.needs_rehash(user.password_hash):
        with engine.begin() as connection:
            # If it is still the one that was looked at: a change of the password meanwhile must win.
            renewed = sa.update(users).where(users.c.id == user.id, users.c.password_hash == user.password_hash)
            connection.execute(renewed.values(password_hash=passwords.hash(login.password)))
    return answer(sessions.start(user.id))


@app.post("/refresh")
def refresh(sent: Refresh) -> dict[str, str]:
    """Exchange a refresh token for the next one."""
    return answer(sessions.refresh(sent.refresh_token))


@app.post("/logout", status_code=204)
def log_out(sent: Refresh) -> None:
    """End the session of a refresh token."""
    sessions.revoke(sent.refresh_token)


@app.get("/me")
def me(claims: Annotated[AccessClaims, Depends(caller)]) -> dict[str, UUID]:
    """Say who is logged in."""
    return {"user_id": claims.user_id}


@app.get("/.well-known/jwks.json")
def jwks() -> dict[str, object]:
    """Publish the keys with which other services verify access tokens."""
    return key_pairs.jwks()


def answer(grant: SessionGrant) -> dict[str, str]:
    """Return the tokens of a session."""
    access = tokens.issue(user_id=grant.user_id, session_id=grant.jti, authz_version=1)
    return {"access_token": access, "token_type": "Bearer", "refresh_token": grant.refresh_token}
