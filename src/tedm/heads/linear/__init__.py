"""Ridge logistic regression through products with cells, many problems in one pass."""
