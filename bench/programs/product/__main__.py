"""What is measured: the package, as its README says."""

import pulumi_avn_token as avn
from bench.wanted import MAX_AGE_SECONDS, of_the_environment

for name, description in of_the_environment().items():
    avn.AccessToken(name, description=description, max_age_seconds=MAX_AGE_SECONDS)
