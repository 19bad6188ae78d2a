"""One of everything that the API keeps, made when it is first asked for: what requests can be about."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from mamkit.storage import LocalStore
from tests.apps.api_process import PASSWORD, bearer

__all__ = ["Things"]

FILE = b"bytes"


class Things:
    """What is there, by the names that parameters have.

    Args:
        url: Of the API.
        objects: Folder in which its store keeps uploads.

    Attributes:
        known: Ids of what was made; forget what is gone.
        login: Headers of an administrator.
        link: Headers of somebody who comes by a share link, once `link_id` was asked for.
    """

    def __init__(self, url: str, objects: Path) -> None:
        self.url = url
        self.known: dict[str, str] = {}
        self.login = bearer(url)
        self.link: dict[str, str] = {}
        self._objects = objects
        self._session = requests.Session()
        self._person = ""

    def of(self, name: str, *, trashed: bool) -> str:
        """Return the id of what a parameter of this name means; empty for what is no name of a thing."""
        make = getattr(self, "trashed_id" if trashed and name == "asset_id" else name, None)
        return str(make()) if name.endswith("_id") and make is not None else ""

    def keep_login(self) -> None:
        """Log in again if that has ended."""
        if self._session.get(f"{self.url}/auth/me", headers=self.login).status_code == 401:
            self.login = bearer(self.url)

    def asset_id(self) -> str:
        """An asset with a version, whose preview nobody builds."""
        if "asset_id" not in self.known:
            presigned = self._ask("POST", "/api/presign", {"filename": "a.mp4", "size": len(FILE)})
            LocalStore(self._objects).put(presigned["staging_key"], FILE)
            asset = {"asset_id": presigned["asset_id"]}
            self._ask("POST", "/api/assets", {**asset, "filename": "a.mp4", "title": "A film"})
            self.known["version_id"] = self._ask("POST", "/api/promote", asset)["id"]
            self.known["asset_id"] = asset["asset_id"]
        return self.known["asset_id"]

    def version_id(self) -> str:
        """Its version."""
        self.asset_id()
        return self.known["version_id"]

    def trashed_id(self) -> str:
        """An asset that lies in the trash."""
        if "trashed_id" not in self.known:
            kept: dict[str, str] = {
                name: self.known.pop(name) for name in ("asset_id", "version_id") if name in self.known
            }
            trashed = self.asset_id()
            self._ask("DELETE", f"/api/assets/{trashed}")
            del self.known["asset_id"], self.known["version_id"]
            self.known |= kept
            self.known["trashed_id"] = trashed
        return self.known["trashed_id"]

    def comment_id(self) -> str:
        """A comment on the asset."""
        return self._made("comment_id", f"/api/assets/{self.asset_id()}/comments", {"content": "dark"})

    def collection_id(self) -> str:
        """A collection in which the asset is."""
        if "collection_id" not in self.known:
            made = self._made("collection_id", "/api/collections", {"name": "Picks"})
            self._ask("PUT", f"/api/collections/{made}/assets/{self.asset_id()}", {})
        return self.known["collection_id"]

    def link_id(self) -> str:
        """A share link to the asset."""
        if "link_id" not in self.known:
            wanted = {"asset_id": self.asset_id(), "rights": ["comment", "download"]}
            made = self._ask("POST", "/api/share-links", wanted)
            self.link = {"authorization": f"Bearer {made['token']}"}
            self.known["link_id"] = made["record"]["id"]
        return self.known["link_id"]

    def workspace_id(self) -> str:
        """A workspace for several people."""
        return self._made("workspace_id", "/api/workspaces", {"name": "Studio"})

    def webhook_id(self) -> str:
        """A webhook of the workspace."""
        path = f"/api/workspaces/{self.workspace_id()}/webhooks"
        return self._made("webhook_id", path, {"url": "https://hooks.example.com/"})

    def delivery_id(self) -> str:
        """A message to it."""
        path = f"/api/workspaces/{self.workspace_id()}/webhooks/{self.webhook_id()}/test"
        return self._made("delivery_id", path, {})

    def job_id(self) -> str:
        """The job of the newest preview."""
        self.asset_id()
        return str(self._ask("GET", "/api/jobs")["items"][0]["id"])

    def user_id(self) -> str:
        """Somebody else."""
        if not self._person:
            person = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
            registered = self._session.post(f"{self.url}/auth/register", json=person).json()
            headers = {"authorization": f"Bearer {registered['access_token']}"}
            self._person = str(self._session.get(f"{self.url}/auth/me", headers=headers).json()["id"])
        return self._person

    def _made(self, name: str, path: str, body: dict[str, Any]) -> str:
        if name not in self.known:
            self.known[name] = self._ask("POST", path, body)["id"]
        return self.known[name]

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._session.request(method, self.url + path, json=body, headers=self.login)
        assert answer.ok, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None
