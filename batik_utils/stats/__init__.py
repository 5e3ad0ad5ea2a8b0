"""Metrics, intervals, tests and the sentences drawn from them: pure functions of results, no deep learning."""
