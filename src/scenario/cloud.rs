//! The provider behind the cluster: how fast it makes and attaches disks, and what it has not got.

use schemars::JsonSchema;
use serde::Deserialize;

use super::autoscaler::Machines;
use super::units::{Distribution, Duration, Factor};

/// The provider behind the cluster.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cloud {
    /// Its disks, by storage driver. Every driver that a StorageClass, a PersistentVolume or a CSIDriver names is
    /// there; an entry here says more about one of them, or about all.
    pub disks: Vec<Disks>,
    /// Its machines, as far as an autoscaler asks for them.
    pub machines: Machines,
}

/// The disks of one storage driver. Where several entries concern a driver, a later one wins field by field.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Disks {
    /// The driver, such as `ebs.csi.aws.com`; absent for all of them.
    pub driver: Option<String>,
    /// How long a new disk takes. Default: log-normal with median 1.5s, 99 % within 4s.
    pub create_time: Option<Distribution<Duration>>,
    /// How long it takes to delete one. Default: between 1s and 4s.
    pub delete_time: Option<Distribution<Duration>>,
    /// How long it takes to attach one to a machine. Default: between 1s and 4s.
    pub attach_time: Option<Distribution<Duration>>,
    /// How long it takes to detach one. Default: between 1s and 4s.
    pub detach_time: Option<Distribution<Duration>>,
    /// How long it takes to make one larger. Default: between 1s and 4s.
    pub resize_time: Option<Distribution<Duration>>,
    /// How many disks one machine can have. Default: that of the well-known drivers, else no limit.
    pub per_node: Option<u32>,
    /// The share of requests that fail and have to be repeated, from 0 to 1. Default 0.
    pub failure_rate: Option<Factor>,
    /// Zones in which no more disks are to be had.
    pub full_zones: Option<Vec<String>>,
}

impl Disks {
    /// Takes over every field that `other` gives.
    pub fn overlay(&mut self, other: &Disks) {
        macro_rules! take {
            ($($field:ident)*) => { $( if other.$field.is_some() { self.$field = other.$field.clone(); } )* };
        }
        take!(create_time delete_time attach_time detach_time resize_time per_node failure_rate full_zones);
    }
}
