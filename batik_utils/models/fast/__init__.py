"""An annexe: the same networks, optimiser and warp as next door, faster. Deleting this folder costs time alone.

Each is held equal to plain Keras by tests. batik_utils.models.annexe is the only module that imports this one.
"""

from batik_utils.models.fast.adam import FusedAdam
from batik_utils.models.fast.pool import PoolBiasRelu, faster
from batik_utils.models.fast.warp import four_passes

__all__ = ["FusedAdam", "PoolBiasRelu", "faster", "four_passes"]
