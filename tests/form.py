"""Whether tests run in their short form, as in `make test`, or in the long one of `make soak`."""

from hypothesis import settings

IS_LONG = settings.get_current_profile_name() == "soak"
