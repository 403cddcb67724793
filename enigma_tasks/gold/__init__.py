"""What gold must be before anything is trained on it: its rules, its cases, its folds."""
