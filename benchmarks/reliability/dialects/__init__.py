"""How the scripted server speaks, one file for each exchange."""
