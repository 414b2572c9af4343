"""Between the rows of the state store and the values of the domain, and how the store is opened."""
