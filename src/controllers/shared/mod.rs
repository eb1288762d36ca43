//! What the controllers of workloads share, once.

pub mod availability;
pub mod clock;
pub mod history;
pub mod ownership;
pub mod pod_control;
pub mod rank;
pub mod strays;

pub use availability::{available_at, ready_since};
pub use ownership::{Orphans, adopters, claim, controller_reference, may_adopt, owners_in};
pub use pod_control::{PodControl, pod_of_template, slow_start};
pub use strays::Strays;
