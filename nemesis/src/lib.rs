//! Faults as data, their schedules, and the injectors.
