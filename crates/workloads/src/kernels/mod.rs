//! The arithmetic of the cpu backend: single-threaded f32 kernels on weights that are laid out once.
//!
//! The entry points are concrete functions in this crate, so that they are optimised with it in every profile. Each
//! picks its instruction set at run time: the crate is compiled for the oldest machine of its architecture.

mod attention;
mod elementwise;
mod linear;
mod microkernel;
mod thin;
mod weights;

pub(crate) use attention::{Attention, EPSILON, SHARPNESS, attention};
pub(crate) use elementwise::Activation;
pub(crate) use linear::{Linear, Scratch, linear};
pub(crate) use weights::Weights;

/// Widths of layers and slices are multiples of this many columns: the widest panel of any instruction set.
pub(crate) const TILE: usize = 64;
