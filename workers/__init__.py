"""The apply loop: pull, check again, fold, apply as one transaction, settle, acknowledge."""
