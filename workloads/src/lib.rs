//! What clients do, and how it is judged.
