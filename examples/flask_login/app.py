"""Login with cookies for a Flask application: `flask --app app run`.

Of mamkit it needs `mamkit[auth]` alone. The browser keeps one cookie that no script can read, the refresh token;
requests that change something bring the CSRF token of their session, too.
"""

import os
from http import HTTPStatus

import sqlalchemy as sa
from flask import Flask, Response, jsonify, make_response, request
from werkzeug.wrappers import Response as AnyResponse

from mamkit.auth import (
    AuthError,
    CsrfError,
    CsrfTokens,
    InvalidCredentialsError,
    LockedOutError,
    Lockout,
    PasswordHasher,
    RedirectRefusedError,
    SessionGrant,
    Sessions,
    TokenInvalidError,
    check_origin,
    check_return_path,
    check_strength,
)
from mamkit.auth.sql import SqlSessionStore, sessions_table
from mamkit.auth.sql_logins import SqlAttemptStore, attempts_table
from mamkit.ids import uuid7

DATABASE = os.environ.get("DATABASE", "users.db")
SECRET = os.environ["SESSION_SECRET"].encode()  # at least 32 random bytes, the same in all processes
ORIGIN = os.environ.get("ORIGIN", "http://127.0.0.1:5000")
COOKIE = "session"  # over https: `__Host-session`, so that no other host of the domain can set it

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
csrf = CsrfTokens(SECRET)
app = Flask(__name__)


@app.errorhandler(AuthError)
def refuse(error: AuthError) -> tuple[Response, HTTPStatus]:
    """Say what was wrong, with a code that programs may switch on."""
    status = HTTPStatus.UNAUTHORIZED
    if isinstance(error, CsrfError):
        status = HTTPStatus.FORBIDDEN
    elif isinstance(error, LockedOutError):
        status = HTTPStatus.TOO_MANY_REQUESTS
    elif isinstance(error, ValueError):
        status = HTTPStatus.BAD_REQUEST
    return jsonify(code=error.code, detail=str(error)), status


@app.before_request
def refuse_other_sites() -> None:
    """Let no page of another site change anything."""
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        check_origin(request.headers.get("Origin"), {ORIGIN})


@app.post("/register")
def register() -> AnyResponse:
    """Make an account, and log in to it."""
    email, password = request.form["email"].casefold(), request.form["password"]
    check_strength(password, about=[email])
    user_id, digest = uuid7(), passwords.hash(password)
    try:
        with engine.begin() as connection:
            connection.execute(sa.insert(users).values(id=user_id, email=email, password_hash=digest))
    except sa.exc.IntegrityError:
        raise InvalidCredentialsError from None  # the address is taken; a mail to it could say so
    return logged_in(sessions.start(user_id), "/")


@app.post("/login")
def log_in() -> AnyResponse:
    """Begin a session; whatever cookie the browser brought, it gets a new one."""
    try:
        path = check_return_path(request.args.get("next", "/"))
    except RedirectRefusedError:
        path = "/"
    email, password = request.form["email"].casefold(), request.form["password"]
    with lockout.attempt(account=email, address=request.remote_addr):
        with engine.connect() as connection:
            user = connection.execute(sa.select(users).where(users.c.email == email)).first()
        passwords.verify(user.password_hash if user else None, password)  # None costs and says the same
        if user is None:
            raise InvalidCredentialsError
    return logged_in(sessions.start(user.id), path)


@app.get("/me")
def me() -> AnyResponse:
    """Say who is logged in, and give the page its CSRF token."""
    grant = current()
    return with_cookie(jsonify(user_id=str(grant.user_id), csrf=csrf.issue(str(grant.family))), grant)


@app.post("/logout")
def log_out() -> AnyResponse:
    """End the session."""
    grant = current()
    csrf.check(request.headers.get("X-CSRF-Token"), str(grant.family))
    sessions.revoke(grant.refresh_token)
    response = make_response("", HTTPStatus.NO_CONTENT)
    response.delete_cookie(COOKIE)
    return response


def current() -> SessionGrant:
    """Return the session of a request; its token is exchanged, and parallel requests get the same next one."""
    token = request.cookies.get(COOKIE)
    if token is None:
        raise TokenInvalidError("there is none")
    return sessions.refresh(token)


def logged_in(grant: SessionGrant, path: str) -> AnyResponse:
    """Send the browser on, with its new session."""
    return with_cookie(make_response("", HTTPStatus.SEE_OTHER, {"location": path}), grant)


def with_cookie(response: AnyResponse, grant: SessionGrant) -> AnyResponse:
    """Give the browser its token, for no script and no other site."""
    response.set_cookie(
        COOKIE, grant.refresh_token, expires=grant.expires_at, httponly=True, samesite="Lax", secure=request.is_secure
    )
    return response
