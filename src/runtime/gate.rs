//! Gates before the API server: what holds requests up or turns them away.
//!
//! ```text
//! request ── gate ── gate ── … ──▶ API server
//!              │ refused at once, refused after a while, or let through later
//! ```

use crate::model::gate::{Gate, Operation};
use crate::model::{Key, Name};
use crate::rng::{Delay, Seed, Stream};
use crate::store::{Refusal, StoreError, Write};
use crate::time::SimDuration;
use std::collections::BTreeMap;

/// The operation of a write.
pub fn operation(write: &Write) -> Operation {
    match write {
        Write::Create(_) | Write::Bind { .. } | Write::Evict { .. } | Write::Event(_) => Operation::Create,
        Write::Update(_) | Write::UpdateStatus(_) | Write::Patch(..) | Write::Document(..) => Operation::Update,
        Write::Delete(..) | Write::DeleteCollection { .. } => Operation::Delete,
        Write::DryRun(write) | Write::As(_, write) => operation(write),
    }
}

/// Whether a gate concerns a write.
fn covers(gate: &Gate, writer: &str, write: &Write) -> bool {
    let Key { kind, namespace, .. } = write.key();
    let event = matches!(write, Write::Event(_));
    kind.is_api()
        && (gate.events || !event)
        && (gate.writers.is_empty() || gate.writers.iter().any(|name| name == writer))
        && (gate.kinds.is_empty() || gate.kinds.contains(&kind))
        && (gate.namespaces.is_empty() || gate.namespaces.contains(&namespace))
        && !gate.except.contains(&namespace)
        && (gate.operations.is_empty() || gate.operations.contains(&operation(write)))
}

/// The gates that are up.
#[derive(Debug, Default)]
pub(super) struct Gates {
    up: BTreeMap<Name, (Gate, Stream)>,
}

/// What the gates say of one request.
pub(super) struct Verdict {
    pub(super) delay: SimDuration,
    pub(super) refused: Option<StoreError>,
}

impl Verdict {
    /// Turned away at once.
    pub(super) fn refused(error: StoreError) -> Self {
        Verdict { delay: SimDuration::ZERO, refused: Some(error) }
    }
}

impl Gates {
    pub(super) fn put(&mut self, name: Name, gate: Gate, seed: Seed) {
        let stream = seed.stream("gate", &name);
        self.up.insert(name, (gate, stream));
    }

    pub(super) fn take(&mut self, name: &Name) {
        self.up.remove(name);
    }

    /// Asks every gate in turn, until one turns the request away.
    pub(super) fn ask(&mut self, writer: &str, write: &Write) -> Verdict {
        let mut verdict = Verdict { delay: SimDuration::ZERO, refused: None };
        for (gate, stream) in self.up.values_mut().filter(|(gate, _)| covers(gate, writer, write)) {
            let delay = match gate.delay {
                (least, most) if least == most => Delay::Constant(least),
                (least, most) => Delay::Uniform(least, most),
            };
            verdict.delay += delay.sample(stream);
            let Some((code, message)) = &gate.refusal else { continue };
            if gate.permille >= 1000 || stream.below(1000) < gate.permille {
                verdict.refused = Some(Refusal::new(*code, message).of(write.key()));
                break;
            }
        }
        verdict
    }

    pub(super) fn is_open(&self) -> bool {
        self.up.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, builder};
    use crate::store::DeleteOptions;

    #[test]
    fn gates_concern_what_they_name() {
        let pod = Key::new(Kind::Pod, "shop", "web");
        let delete = Write::Delete(pod, DeleteOptions::default());
        let node = Write::Create(crate::model::Object::from(builder::node("n", 1, 1, 1)));
        let all = Gate::default();
        let pods = Gate { kinds: vec![Kind::Pod], ..Gate::default() };
        let shop = Gate { namespaces: vec!["shop".into()], ..Gate::default() };
        let spared = Gate { except: vec!["shop".into()], ..Gate::default() };
        let creations = Gate { operations: vec![Operation::Create], ..Gate::default() };
        let kubelet = Gate { writers: vec!["kubelet".into()], ..Gate::default() };
        // Gate, whether it covers the deletion of the pod by kubectl, and the node's creation by the kubelet.
        let table = [
            (all, true, true),
            (pods, true, false),
            (shop, true, false),
            (spared, false, true),
            (creations, false, true),
            (kubelet, false, true),
        ];
        for (gate, first, second) in table {
            assert_eq!(covers(&gate, "kubectl", &delete), first, "{gate:?}");
            assert_eq!(covers(&gate, "kubelet", &node), second, "{gate:?}");
        }
    }

    #[test]
    fn some_of_a_thousand_are_turned_away() {
        let mut gates = Gates::default();
        let gate = Gate { permille: 250, ..Gate::shut(SimDuration::ZERO, 503, "unavailable".into()) };
        gates.put("some".into(), gate, Seed(7));
        let write = Write::Delete(Key::new(Kind::Pod, "shop", "web"), DeleteOptions::default());
        let refused = (0..4000).filter(|_| gates.ask("kubectl", &write).refused.is_some()).count();
        // A quarter of 4000, give or take four deviations: sqrt(4000 * 0.25 * 0.75) = 27.
        assert!((1000 - 110..=1000 + 110).contains(&refused), "{refused}");
        gates.take(&"some".into());
        assert!(gates.is_open());
    }
}
