"""What a run can be made of and by, over REST."""

from __future__ import annotations

from typing import Any

from backend.client.connection import Connection
from backend.schemas.base import Page
from backend.schemas.run import (
    Readiness,
    Recipe,
    Version,
    Worker,
)


class CatalogueRoutes(Connection):
    """Reading recipes, workers and the version."""

    def list_recipes(self) -> list[Recipe]:
        """The shipped configurations."""
        return self._get(Page[Recipe], "/recipes").data

    def get_recipe(self, name: str) -> Recipe:
        """One shipped configuration."""
        return self._get(Recipe, f"/recipes/{name}")

    def list_workers(self) -> list[Worker]:
        """Workers that were heard from lately."""
        return self._get(Page[Worker], "/workers").data

    def get_version(self) -> Version:
        """What answers."""
        return self._get(Version, "/version")

    def get_config_schema(self) -> dict[str, Any]:
        """The JSON schema of a run's configuration."""
        schema: dict[str, Any] = self._send("GET", "/config-schema").json()
        return schema

    def check_readiness(self) -> Readiness:
        """Everything is there, or UnavailableError says what is not."""
        return Readiness.model_validate_json(self._request("GET", "/readyz").content)
