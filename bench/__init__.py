"""What the provider costs beside the engine and the network: `make bench` measures, and writes docs/performance.md."""
