"""The control plane's HTTP: the public API and the site protocol."""
