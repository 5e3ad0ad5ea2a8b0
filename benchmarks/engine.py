"""Time the experiment engine on one pretrained model's grouped fits, features included, from an empty cache."""

import argparse
import dataclasses
import json
import os
import tempfile
import time

from batik_utils.experiment import open_plan, run_plan


def main() -> None:
    """Print {"fits", "seconds", "failed"} as JSON; the pictures are decoded beforehand, nothing else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="bali-betawi-celup")
    plan = open_plan(parser.parse_args().study)
    model = plan.study.compare[0]
    wanted = [t for t in plan.tasks if (t.fits[0].model, t.fits[0].protocol) == (model, "grouped")]
    only = dataclasses.replace(plan, tasks=tuple(wanted), waiting=())
    with tempfile.TemporaryDirectory() as empty:
        os.environ["BATIK_CACHE"] = empty
        start = time.perf_counter()
        results = run_plan(only, progress=False)
        seconds = time.perf_counter() - start
    print(json.dumps({"fits": len(results), "seconds": seconds, "failed": len(results.missing)}))


if __name__ == "__main__":
    main()
