"""A token that rotates under a consumer that takes its time: the current secret is kept in a file for it."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pulumi
from pulumi import dynamic

import pulumi_avn_token as avn

DAY = 24 * 60 * 60


class SecretFileProvider(dynamic.ResourceProvider):
    """Keeps a secret in a file that only its owner can read. A file that is lost comes back with the next `up`."""

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Write the file."""
        self._write(props)
        return dynamic.CreateResult(props["path"], self._outputs(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        """Compare what is to be in the file with what is; another path is another file."""
        path = Path(_olds["path"])
        is_written = path.exists() and path.read_text(encoding="utf-8") == _news["secret"]
        moves = _news["path"] != _olds["path"]
        return dynamic.DiffResult(changes=moves or not is_written, replaces=["path"] if moves else [])

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.UpdateResult:
        """Write the file anew."""
        self._write(_news)
        return dynamic.UpdateResult(self._outputs(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Remove the file."""
        Path(_props["path"]).unlink(missing_ok=True)

    def _write(self, props: dict[str, Any]) -> None:
        """Write all of it or nothing: whoever reads meanwhile gets the old secret or the new one."""
        path = Path(props["path"])
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # its mode is 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(props["secret"])
        Path(draft).replace(path)

    def _outputs(self, props: dict[str, Any]) -> dict[str, Any]:
        return {name: props[name] for name in ("path", "secret")}


class SecretFile(dynamic.Resource):
    """A secret in a file. It stands in for an entry of the secret store that you have."""

    def __init__(self, name: str, *, path: Path, secret: pulumi.Input[str]) -> None:
        """Declare the file at `path`, in a folder that is there."""
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["secret"])
        super().__init__(SecretFileProvider(), name, {"path": str(path), "secret": secret}, hidden)


ingest = avn.RotatingAccessToken(
    "ingest",
    description="Ingest workers",
    max_age_seconds=30 * DAY,
    early_rotation_window_seconds=14 * DAY,  # the first `up` after 16 days makes the next token
    overlap_seconds=7 * DAY,  # a consumer has so long to fetch it
    revocation_triggers={"leak": 0},  # another value after a leak
)
SecretFile("ingest", path=Path(__file__).parent / "ingest.token", secret=ingest.full_token)

pulumi.export("rotates_at", ingest.rotates_at)
pulumi.export("rotation_reason", ingest.rotation_reason)
pulumi.export("token_prefix", ingest.token_prefix)
pulumi.export("previous_token_prefix", ingest.previous_token_prefix)
