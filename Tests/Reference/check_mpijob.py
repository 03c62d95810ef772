#!/usr/bin/env python3
"""Checks cluster/kubernetes/mpijob.yaml against the MPI operator's published schema.

    curl -LO https://raw.githubusercontent.com/kubeflow/mpi-operator/v0.8.0/manifests/base/kubeflow.org_mpijobs.yaml
    python3 Tests/Reference/check_mpijob.py kubeflow.org_mpijobs.yaml

As the API server does with `kubectl apply --validate=strict`: each value has the type that the schema says, and no
field is unknown to it, which it would otherwise drop in silence. Needs PyYAML and jsonschema 4 (Debian: python3-yaml,
python3-jsonschema). Exit code: 0 valid; 1 not, with a line for each place; 64 wrong usage.
"""

import pathlib
import sys

import jsonschema
import yaml

JOB = pathlib.Path(__file__).resolve().parents[2] / "cluster" / "kubernetes" / "mpijob.yaml"


def strict(schema):
    """The same schema in which an object has no other fields than those that are named."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    result = {key: strict(value) for key, value in schema.items()}
    closed = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and not closed:
        result["additionalProperties"] = False
    return result


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 64
    definition = yaml.safe_load(pathlib.Path(arguments[0]).read_text())
    jobs = [document for document in yaml.safe_load_all(JOB.read_text()) if document["kind"] == "MPIJob"]
    if len(jobs) != 1:
        print(f"{JOB}: {len(jobs)} MPIJobs", file=sys.stderr)
        return 1
    job = jobs[0]
    group, version = job["apiVersion"].split("/")
    schemas = [v["schema"]["openAPIV3Schema"] for v in definition["spec"]["versions"] if v["name"] == version]
    if definition["spec"]["group"] != group or definition["spec"]["names"]["kind"] != "MPIJob" or not schemas:
        print(f"{arguments[0]} does not define MPIJob of {job['apiVersion']}", file=sys.stderr)
        return 1
    schema = strict(schemas[0])
    # A definition says nothing about it; it is Kubernetes' own.
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(job))
    for error in errors:
        print(f"{JOB}: {'.'.join(map(str, error.absolute_path))}: {error.message}", file=sys.stderr)
    if not errors:
        print(f"{JOB.name}: valid {job['apiVersion']} MPIJob")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
