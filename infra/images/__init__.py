"""`python -m infra.images` builds the images of the stages and of Airflow, the same bytes from the same commit."""
