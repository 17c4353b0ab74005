//! HTML, SVG, JUnit and text reports of a run.
