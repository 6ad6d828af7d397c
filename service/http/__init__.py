"""The HTTP interface: the gate, routes, forms, bodies, and errors as problems."""
