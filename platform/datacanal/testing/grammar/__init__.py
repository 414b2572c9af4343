"""The grammar of random statements: scopes, typed expressions, relations and queries over the sample tables."""
