//! Snapshot files, the log's marks that name them, and the log itself, in every order in which a
//! stop may leave them: a row each.
