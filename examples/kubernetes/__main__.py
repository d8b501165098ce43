"""A token in a Kubernetes Secret, and a Deployment whose pods are restarted when it rotates."""

import pulumi
import pulumi_kubernetes as k8s

import pulumi_avn_token as avn

DAY = 24 * 60 * 60

token = avn.RotatingAccessToken(
    "ingest",
    description="Ingest workers in Kubernetes",
    max_age_seconds=30 * DAY,
    early_rotation_window_seconds=14 * DAY,
    overlap_seconds=3 * DAY,  # pods that are not restarted yet have so long
    retire_previous="after_overlap",  # they all use it until then, so it is never idle
    revocation_triggers={"leak": 0},  # another value after a leak
)

# Without the option, the Secret would be deleted and made anew at each rotation, and be missing in between.
cluster = k8s.Provider("cluster", enable_secret_mutable=True)
on_cluster = pulumi.ResourceOptions(provider=cluster)

secret = k8s.core.v1.Secret(
    "ingest",
    metadata={"name": "ingest-aiven"},
    string_data={"token": token.full_token},
    opts=on_cluster,
)
k8s.apps.v1.Deployment(
    "ingest",
    metadata={"name": "ingest"},
    spec={
        "replicas": 2,
        "selector": {"match_labels": {"app": "ingest"}},
        "template": {
            "metadata": {
                "labels": {"app": "ingest"},
                "annotations": {"aiven-token-prefix": token.token_prefix},  # a new one restarts the pods; no secret
            },
            "spec": {
                "containers": [
                    {
                        "name": "ingest",
                        "image": pulumi.Config().require("image"),
                        "env": [
                            {
                                "name": "AIVEN_TOKEN",
                                "value_from": {"secret_key_ref": {"name": secret.metadata.name, "key": "token"}},
                            }
                        ],
                    }
                ]
            },
        },
    },
    opts=on_cluster,
)
