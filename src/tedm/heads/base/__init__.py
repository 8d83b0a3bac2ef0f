"""What every head owes the house, and which heads there are."""
