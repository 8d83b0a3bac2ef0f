from .claims import Check, Finding, findings
from .results import Cost, PaperResults, Picture
from .write import write_paper

__all__ = ["Check", "Cost", "Finding", "PaperResults", "Picture", "findings", "write_paper"]
