//! What time the controller manager thinks it is: the clock of the machine on which the leading one runs.

use crate::model::core::Lease;
use crate::model::{Key, Kind, Machine, Name};
use crate::runtime::Cx;
use crate::time::SimTime;

/// The machine of the only controller manager where nobody has to be elected.
const FIRST: Name = crate::name!("control-plane-0");

/// The time on its clock.
pub fn now(cx: &Cx<'_>) -> SimTime {
    let lease = Key::new(Kind::Lease, "kube-system", "kube-controller-manager");
    let holder = cx.live().fetch_key::<Lease>(&lease).map(|lease| lease.holder.clone());
    let host = holder.as_deref().and_then(|holder| holder.split('_').next()).map_or(FIRST, Name::from);
    let machine = cx.live().fetch::<Machine>(&Name::new(), &host);
    machine.map_or(cx.now, |machine| cx.now + machine.troubles.clock_ahead())
}
