"""How fast this project is beside the seed studies' way, measured in one run: python -m benchmarks."""
