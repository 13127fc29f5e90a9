"""Write pod.schema.json, what Kubernetes takes as a Pod, from the models of its Python client (Apache License 2.0).

Run it in an environment of its own that has the package `kubernetes`, which is generated from the API's own OpenAPI
document. Left out are titles and descriptions; a key that a model does not have is refused, as the API server refuses
it. Known limit: what may be an integer or a string may be anything.
"""

from __future__ import annotations

import json
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> None:
    pod = import_module("kubernetes.client.models.v1_pod").V1Pod
    said = f"From kubernetes {metadata.version('kubernetes')}, Apache License 2.0, by vendor_pod_schema.py"
    schema = {"$comment": said} | strict(pod.model_json_schema(by_alias=True))
    (HERE / "pod.schema.json").write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")


def strict(schema: Any) -> Any:
    """Return a schema without words for people, whose objects have no properties but those named."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: strict(part) for key, part in schema.items() if key not in ("title", "description", "default")}
    if isinstance(properties := schema.get("properties"), dict):
        kept["properties"] = {name: strict(part) for name, part in properties.items()}
        kept["additionalProperties"] = False
    return kept


if __name__ == "__main__":
    main()
