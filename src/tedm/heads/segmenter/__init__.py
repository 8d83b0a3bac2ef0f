"""A head with all that turns features into masks: fitted, voting, tuned, kept in a folder."""
