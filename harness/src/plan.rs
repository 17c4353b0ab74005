//! The plan: everything that a run does, as data, written before anything starts.
