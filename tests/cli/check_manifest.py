"""Checks manifests: each document against kubernetes-schema.json beside this file, and that it has the kinds asked for.

check_manifest.py FILE KIND…; exit code 77 where PyYAML or jsonschema is missing.
"""
import json
import pathlib
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

schema = json.loads((pathlib.Path(__file__).parent / "kubernetes-schema.json").read_text())
documents = list(yaml.safe_load_all(pathlib.Path(sys.argv[1]).read_text()))
validator = jsonschema.Draft7Validator(schema)
failed = 0
for document in documents:
    branch = next((s for s in schema["oneOf"] if s["properties"]["kind"]["const"] == document["kind"]), None)
    errors = ["unknown kind"] if branch is None else [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
        for e in jsonschema.Draft7Validator({**schema, "oneOf": [branch]}).iter_errors(document)
    ]
    for error in errors:
        print(f"{sys.argv[1]}: {document['kind']}: {error}")
    failed += len(errors)
kinds = [document["kind"] for document in documents]
if kinds != sys.argv[2:]:
    print(f"{sys.argv[1]}: found {kinds}, expected {sys.argv[2:]}")
    failed += 1
sys.exit(1 if failed else 0)
