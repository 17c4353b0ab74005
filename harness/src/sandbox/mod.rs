//! The sandbox: each node in namespaces of its own, on a network that the harness owns.
