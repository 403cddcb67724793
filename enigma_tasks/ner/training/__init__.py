"""Documents -> a trained token classifier."""
