"""The floor: a dynamic provider that makes the package's calls, and nothing else."""

from bench.bare import Token
from bench.wanted import MAX_AGE_SECONDS, of_the_environment

for name, description in of_the_environment().items():
    Token(name, description, MAX_AGE_SECONDS)
