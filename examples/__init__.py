"""A sample of transactions for the contracts in `contracts/`, and what makes it."""
