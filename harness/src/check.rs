//! `ordeal check`: judges histories that are already there.
