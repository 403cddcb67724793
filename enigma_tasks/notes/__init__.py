"""Notes: what a drop holds, what is done, what a night has to do. Pure: no store, no clock."""
