//! Steady states of a series of iterations.
