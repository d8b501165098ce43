"""A token that Aiven's own provider runs with, and a service that is made with it."""

import pulumi
import pulumi_aiven as aiven

import pulumi_avn_token as avn

DAY = 24 * 60 * 60

token = avn.AccessToken(
    "services",
    description="Pulumi's services",
    max_age_seconds=30 * DAY,
    early_rotation_window_seconds=14 * DAY,  # `pulumi up` must run more often than this, or the provider is locked out
    rotation_triggers={"leak": 0},  # another value after a leak
)
services = aiven.Provider("services", api_token=token.full_token)

aiven.Pg(
    "orders",
    project=pulumi.Config().require("project"),
    service_name="orders",
    cloud_name="google-europe-west1",
    plan="startup-4",
    opts=pulumi.ResourceOptions(provider=services),
)
