"""Review by people: which answers are worth looking at, which are drawn at random, and what an answer says. Pure."""
