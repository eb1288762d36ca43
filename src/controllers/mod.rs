//! The controllers of the controller manager, one file or folder each. They meet only in the store.

pub mod endpoint_slice;
