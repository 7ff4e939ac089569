//! What importing Kineto and Chrome traces needs: events borrowed from the window, and the state of one pass over them.

#[cfg(test)]
mod bad_input;
mod category;
mod collectives;
#[cfg(test)]
mod conformance;
mod copies;
mod counters;
mod devices;
mod event;
#[cfg(test)]
mod files;
mod launches;
mod metadata;
mod names;
mod pairs;
mod ranges;
mod reading;
#[cfg(test)]
mod rules;

pub(crate) use reading::{Learned, Reading};
