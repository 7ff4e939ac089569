//! Every number of every file against derivations and against published numbers that are written down a second time.

mod check;
mod lookup;
mod numbers;
mod published;
