//! NRI.
