"""Which files show one picture: exact copies, and re-encoded, resized, mirrored, turned and cropped ones."""

from batik_utils.audit.grouping import audit_report, grouping
from batik_utils.audit.pairs import find_pairs, groups_from_pairs

__all__ = ["audit_report", "find_pairs", "grouping", "groups_from_pairs"]
