//! Clocks of several ranks: offsets from what all of them saw end together.
