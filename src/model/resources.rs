//! Amounts of resources in integers: milli-CPU, bytes, whole units.

use super::Name;
use smallvec::SmallVec;

/// An amount of every resource. Absent extended resources are zero.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Resources {
    /// CPU in thousandths of a core.
    pub milli_cpu: i64,
    /// Memory in bytes.
    pub memory: i64,
    /// Ephemeral storage in bytes.
    pub ephemeral_storage: i64,
    /// Pod slots; only meaningful for capacity and allocatable.
    pub pods: i64,
    /// Everything else (extended resources, huge pages, attachable volumes), sorted by name.
    pub scalar: SmallVec<[(Name, i64); 0]>,
}

impl Resources {
    /// The amount of `resource` in its base unit (`cpu` in milli).
    pub fn get(&self, resource: &str) -> i64 {
        match resource {
            "cpu" => self.milli_cpu,
            "memory" => self.memory,
            "ephemeral-storage" => self.ephemeral_storage,
            "pods" => self.pods,
            other => self.scalar.iter().find(|(name, _)| name == other).map_or(0, |(_, amount)| *amount),
        }
    }

    /// Sets the amount of `resource`.
    pub fn set(&mut self, resource: &Name, amount: i64) {
        match resource.as_str() {
            "cpu" => self.milli_cpu = amount,
            "memory" => self.memory = amount,
            "ephemeral-storage" => self.ephemeral_storage = amount,
            "pods" => self.pods = amount,
            _ => match self.scalar.binary_search_by(|(name, _)| name.cmp(resource)) {
                Ok(at) => self.scalar[at].1 = amount,
                Err(at) => self.scalar.insert(at, (resource.clone(), amount)),
            },
        }
    }

    /// Adds `other`, resource by resource.
    pub fn add(&mut self, other: &Resources) {
        self.combine(other, |a, b| a + b);
    }

    /// Takes `other` away, resource by resource.
    pub fn sub(&mut self, other: &Resources) {
        self.combine(other, |a, b| a - b);
    }

    /// The larger of the two, resource by resource.
    pub fn max(&mut self, other: &Resources) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, other: &Resources, op: impl Fn(i64, i64) -> i64) {
        self.milli_cpu = op(self.milli_cpu, other.milli_cpu);
        self.memory = op(self.memory, other.memory);
        self.ephemeral_storage = op(self.ephemeral_storage, other.ephemeral_storage);
        self.pods = op(self.pods, other.pods);
        for (name, amount) in &other.scalar {
            let mine = self.get(name);
            self.set(name, op(mine, *amount));
        }
    }
}
