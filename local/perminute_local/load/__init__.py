"""`perminute load`: how many calls a stack charges a second, how soon, and whether to the cent."""
