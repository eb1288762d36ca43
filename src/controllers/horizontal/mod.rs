//! The horizontal pod autoscaler: as many pods as their load needs (`pkg/controller/podautoscaler/`).

pub mod judge;
pub mod normalize;
pub mod replicas;
