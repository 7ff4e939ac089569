//! kernels/*.cu, executed on the host: results against plain loops in f64, and the counts that each header states
//! against what the loops do. Needs g++, no GPU and no CUDA.

mod attention;
mod ceilings;
mod headers;
mod host;
mod numbers;
