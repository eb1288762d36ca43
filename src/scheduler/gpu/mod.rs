//! GPUs that several pods share: what a node has left, what a pod asks for, which devices it gets.
//!
//! The rules are those of the simulator of the paper "Beware of Fragmentation" (USENIX ATC'23,
//! `hkust-adsl/kubernetes-scheduler-simulator`). Amounts are thousandths of one device. Nothing here knows
//! a cluster: the plugins read these values off the snapshot ([`read`]), an experiment off a trace.

pub mod read;
pub mod typical;

use crate::model::Name;
use crate::rng::Stream;
use smallvec::SmallVec;

/// A whole device.
pub const WHOLE: i64 = 1000;

/// Indices of devices on one node.
pub type Devices = SmallVec<[u8; 8]>;

/// What a pod asks for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct GpuAsk {
    /// CPU in thousandths.
    pub milli_cpu: i64,
    /// Thousandths of each device; 0 when it wants none.
    pub milli: i64,
    /// How many devices.
    pub count: usize,
    /// Accepted models; empty accepts all.
    pub models: Vec<Name>,
}

impl GpuAsk {
    /// Thousandths over all devices.
    pub fn total(&self) -> i64 {
        self.milli * self.count as i64
    }

    /// Whether it wants part of one device.
    pub fn is_share(&self) -> bool {
        self.count == 1 && self.milli < WHOLE
    }

    /// Whether devices of this model will do.
    pub fn accepts(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|accepted| accepted == model)
    }

    /// The kind of GPU pod that clustering keeps together: one bit for shares, one for each number of whole
    /// devices.
    pub fn kind(&self) -> u32 {
        match self.count {
            0 => 0,
            _ if self.is_share() => 1,
            count => 1 << count.min(31),
        }
    }
}

/// What a node has left.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GpuNode {
    /// CPU in thousandths.
    pub milli_cpu: i64,
    /// Memory, in the unit of the pods' requests.
    pub memory: i64,
    /// Thousandths of each device.
    pub free: SmallVec<[i64; 8]>,
    /// The devices' model.
    pub model: Name,
    /// The kinds of GPU pods on it ([`GpuAsk::kind`]), as a set of bits.
    pub kinds: u32,
}

impl GpuNode {
    /// Thousandths over all devices.
    pub fn free_total(&self) -> i64 {
        self.free.iter().sum()
    }

    /// Devices that nobody uses.
    pub fn free_devices(&self) -> usize {
        self.free.iter().filter(|free| **free == WHOLE).count()
    }

    /// Whether its devices can hold `ask`.
    pub fn holds(&self, ask: &GpuAsk) -> bool {
        if ask.count == 0 {
            return true;
        }
        ask.accepts(&self.model) && self.free.iter().filter(|free| **free >= ask.milli).count() >= ask.count
    }

    /// The devices that fit, the fullest first, the lower index first among equals: as many as asked for. A
    /// share takes the one with the least room to spare, whole devices are the first free ones.
    pub fn best_fit(&self, ask: &GpuAsk) -> Devices {
        if ask.is_share() {
            let fitting = self.free.iter().enumerate().filter(|(_, free)| **free >= ask.milli);
            return fitting.min_by_key(|(_, free)| **free).map(|(at, _)| at as u8).into_iter().collect();
        }
        let mut fitting: SmallVec<[(i64, u8); 8]> = SmallVec::new();
        fitting.extend(self.free.iter().enumerate().filter(|(_, f)| **f >= ask.milli).map(|(at, f)| (*f, at as u8)));
        fitting.sort_unstable();
        fitting.iter().take(ask.count).map(|(_, at)| *at).collect()
    }

    /// For a share any device that fits, each as likely; whole devices as in [`Self::best_fit`].
    pub fn any_fit(&self, ask: &GpuAsk, stream: &mut Stream) -> Devices {
        if !ask.is_share() {
            return self.best_fit(ask);
        }
        let fits = |at: &usize| self.free[*at] >= ask.milli;
        let fitting: Devices = (0..self.free.len()).filter(fits).map(|at| at as u8).collect();
        match fitting.len() {
            0 => fitting,
            count => Devices::from_elem(fitting[stream.below(count as u64) as usize], 1),
        }
    }

    /// Puts the pod on these devices.
    pub fn take(&mut self, ask: &GpuAsk, devices: &[u8]) {
        self.milli_cpu -= ask.milli_cpu;
        devices.iter().for_each(|at| self.free[usize::from(*at)] -= ask.milli);
        self.kinds |= ask.kind();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_take_the_tightest_device_and_whole_pods_the_first_free_ones() {
        let node = GpuNode { free: SmallVec::from_slice(&[1000, 300, 500, 300, 1000]), ..GpuNode::default() };
        let ask = |milli, count| GpuAsk { milli, count, ..GpuAsk::default() };
        let cases: [(GpuAsk, &[u8]); 5] = [
            (ask(200, 1), &[1]),
            (ask(400, 1), &[2]),
            (ask(600, 1), &[0]),
            (ask(1000, 1), &[0]),
            (ask(1000, 2), &[0, 4]),
        ];
        for (ask, devices) in cases {
            assert_eq!(node.best_fit(&ask).as_slice(), devices, "{ask:?}");
            assert!(node.holds(&ask));
        }
        assert!(!node.holds(&ask(1000, 3)));
        assert!(!node.holds(&GpuAsk { models: vec![Name::from("T4")], ..ask(200, 1) }));
    }
}
