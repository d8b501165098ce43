"""What people do: the provider in a file beside the program.

In the program itself it would be pickled whole for each resource, and the SDK's pickler fails after some 230 of them.
"""

from tokens import Token

from bench.wanted import MAX_AGE_SECONDS, of_the_environment

for name, description in of_the_environment().items():
    Token(name, description, MAX_AGE_SECONDS)
