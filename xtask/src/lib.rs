//! What the project measures and checks of itself: `cargo xtask kernels` runs Lanner on other kernels in guests, counts
//! instructions there and writes the table. The bench and the tests of kernels use the same parts.

pub mod document;
pub mod goals;
pub mod guest;
pub mod observer;
pub mod programs;
pub mod selfcheck;
pub mod statistics;
pub mod table;
pub mod workload;
