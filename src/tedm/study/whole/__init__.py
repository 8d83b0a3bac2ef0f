"""From images to masks, scores and a report in one call."""
