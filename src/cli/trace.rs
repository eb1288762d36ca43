//! `sim trace FILE`: what happened, one line a change.

use clap::Args;
use std::cell::RefCell;
use std::rc::Rc;

use super::run::duration;
use super::source::Source;
use super::verify::stopped;
use super::{FINE, print};
use crate::cluster::{Cluster, Options};
use crate::error::Result;
use crate::model::{Key, Object};
use crate::report::trace;
use crate::runtime::Observer;
use crate::scenario::units::{Duration, ObjectRef};
use crate::store::{Change, Store};
use crate::time::SimTime;

/// The arguments of `sim trace`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Which scenario.
    #[command(flatten)]
    pub source: Source,
    /// Only changes of this object, such as deployment/web
    #[arg(long, value_name = "KIND/NAME", value_parser = ObjectRef::parse)]
    pub object: Option<ObjectRef>,
    /// Only from this virtual time on
    #[arg(long, value_name = "T", value_parser = duration)]
    pub from: Option<Duration>,
    /// Only up to this virtual time
    #[arg(long, value_name = "T", value_parser = duration)]
    pub to: Option<Duration>,
}

/// Collects the lines of the changes that were asked for.
struct Tracer {
    object: Option<ObjectRef>,
    from: SimTime,
    to: SimTime,
    lines: Rc<RefCell<Vec<String>>>,
}

impl Tracer {
    fn wants(&self, change: &Change) -> bool {
        let about = |key: &Key, object: &ObjectRef| key.kind == object.kind && key.name == object.name.as_str();
        (self.from..=self.to).contains(&change.time)
            && self.object.as_ref().is_none_or(|object| match change.object() {
                Object::Event(event) => about(&event.regarding, object) || about(&change.key, object),
                _ => about(&change.key, object),
            })
    }
}

impl Observer for Tracer {
    fn change(&mut self, change: &Change, _: &Store) {
        if self.wants(change) {
            self.lines.borrow_mut().push(trace::line(change));
        }
    }
}

/// Prints the changes.
///
/// # Errors
/// Wrong input, or a limit that was reached.
pub fn execute(arguments: &Arguments) -> Result<u8> {
    let scenario = arguments.source.load()?;
    let mut object = arguments.object.clone();
    if let Some(object) = &mut object {
        object.bind(&scenario.kinds).map_err(crate::error::Error::input)?;
    }
    let lines = Rc::default();
    let at = |time: &Duration| SimTime(time.0.0);
    let tracer = Tracer {
        object: object.clone(),
        from: arguments.from.as_ref().map_or(SimTime(i64::MIN), at),
        to: arguments.to.as_ref().map_or(SimTime::MAX, at),
        lines: Rc::clone(&lines),
    };
    let until = arguments.to.as_ref().map(at);
    let options = Options { until, ..Options::of(&scenario) };
    let mut cluster = Cluster::new(&scenario, &options, vec![Box::new(tracer)])?;
    cluster.run(&mut |_, _| true).map_err(stopped)?;
    let lines: Vec<String> = lines.take();
    if let (Some(object), true) = (&object, lines.is_empty()) {
        let example = "names are whole, such as pod/web-6d4cf56db6-x2x4k";
        eprintln!(
            "nothing happened to {}/{} in that time; {example}",
            object.kind.as_str().to_lowercase(),
            object.name
        );
    }
    print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(FINE)
}
