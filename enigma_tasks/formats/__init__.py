"""Files and folders of annotated text <-> documents."""
