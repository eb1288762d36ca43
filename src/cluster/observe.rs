//! Seats for observers whose result is wanted after the run: the runtime owns the observer, the caller keeps
//! a handle.

use crate::metrics::Recorder;
use crate::runtime::Observer;
use crate::store::{Change, Store};
use crate::time::SimTime;
use std::cell::RefCell;
use std::rc::Rc;

/// The recorder at the table.
#[derive(Clone, Default)]
pub struct RecorderSeat(pub Rc<RefCell<Recorder>>);

impl Observer for RecorderSeat {
    fn change(&mut self, change: &Change, store: &Store) {
        self.0.borrow_mut().change(change, store);
    }

    fn finish(&mut self, now: SimTime, _: &Store) {
        self.0.borrow_mut().finish(now);
    }
}
