//! Containers that end: all of a pod's, or one.

use super::target::{PodTarget, on_pods};
use super::{Checks, Form};
use crate::model::{Effect, Name};

/// The exit code of a kill, unless the scenario says otherwise.
const KILLED: i32 = 137;

on_pods! {
    /// All containers of pods end at once.
    pub struct PodCrash {
        /// The code the containers end with. Default 137, a kill.
        pub exit_code: Option<i32>,
    }
}

on_pods! {
    /// One container of each pod concerned ends.
    pub struct ContainerCrash {
        /// Which container; the first if absent.
        pub container: Option<String>,
        /// The code it ends with. Default 137, a kill.
        pub exit_code: Option<i32>,
    }
}

/// Both end containers, and differ in which.
macro_rules! crash {
    ($form:ident, $kind:literal, $container:expr) => {
        impl Form for $form {
            fn kind(&self) -> &'static str {
                $kind
            }
            fn actor(&self) -> &'static str {
                "fault/crash"
            }
            fn pods(&self) -> Option<PodTarget> {
                Some(self.target())
            }
            fn momentary(&self) -> bool {
                true
            }
            fn effect(&self) -> Effect {
                let container: fn(&Self) -> Option<Name> = $container;
                Effect::End { container: container(self), exit_code: self.exit_code.unwrap_or(KILLED) }
            }
            fn check(&self, _: &mut Checks<'_>) {}
        }
    };
}

crash!(PodCrash, "pod-crash", |_| None);
// An empty name is the first.
crash!(ContainerCrash, "container-crash", |form| Some(form.container.as_deref().map(Name::from).unwrap_or_default()));
