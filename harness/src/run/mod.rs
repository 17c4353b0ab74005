//! `ordeal run`: one test.
